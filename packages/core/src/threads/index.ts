export { type Served, serveRequests } from './serve-requests.js';
export { ThreadPool, type ThreadPoolOptions } from './thread-pool.js';
