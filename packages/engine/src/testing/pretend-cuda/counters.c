/* What the pretend libraries count, and how tests read it. Part of libcudart.so.13. */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include "pretend.h"
#include "counters.h"

enum { MOST_NAMES = 256, MOST_THREADS = 64, MOST_STREAMS = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct { const char *name; long calls; } counts[MOST_NAMES];
static int names;
static pthread_t threads[MOST_THREADS];
static int thread_count;
static void *streams[MOST_STREAMS];
static int stream_count;

void pretend_count_call(const char *name) {
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < names && strcmp(counts[i].name, name) != 0) i++;
  if (i == names && names < MOST_NAMES) counts[names++].name = name;
  if (i < MOST_NAMES) counts[i].calls++;
  pthread_mutex_unlock(&lock);
}

/* Kernels and products come from here: the threads that start them are remembered. */
void pretend_count_launch(const char *name) {
  pretend_count_call(name);
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < thread_count && !pthread_equal(threads[i], pthread_self())) i++;
  if (i == thread_count && thread_count < MOST_THREADS) threads[thread_count++] = pthread_self();
  pthread_mutex_unlock(&lock);
}

/* Streams that kernels are put into are remembered. */
void pretend_count_stream(void *stream) {
  pthread_mutex_lock(&lock);
  int i = 0;
  while (i < stream_count && streams[i] != stream) i++;
  if (i == stream_count && stream_count < MOST_STREAMS) streams[stream_count++] = stream;
  pthread_mutex_unlock(&lock);
}

EXPORT long pretend_calls(const char *name) {
  long calls = 0;
  pthread_mutex_lock(&lock);
  for (int i = 0; i < names; i++)
    if (strcmp(counts[i].name, name) == 0) calls = counts[i].calls;
  pthread_mutex_unlock(&lock);
  return calls;
}

EXPORT int pretend_launching_threads(void) { return thread_count; }
EXPORT int pretend_launching_streams(void) { return stream_count; }

EXPORT void pretend_reset(void) {
  pthread_mutex_lock(&lock);
  names = 0;
  thread_count = 0;
  stream_count = 0;
  memset(counts, 0, sizeof counts);
  pthread_mutex_unlock(&lock);
}

/* Memory of the pretend GPUs: pages of the host, which cost nothing until they are written. */
typedef struct Block { char *start; size_t bytes; struct Block *next; } Block;
static Block *blocks;
static long live, peak;

static size_t pages(size_t bytes) { return (bytes + 4095) & ~(size_t)4095; }

/* Places all over a terabyte, the same ones in every process: an arena that takes the lowest of equal pieces first must not
   depend on the order of addresses, which no driver promises. PRETEND_CUDA_SEED tries others. */
static void *next_place(void) {
  static unsigned long state;
  if (state == 0) {
    const char *seed = getenv("PRETEND_CUDA_SEED");
    state = 2 * (seed == NULL ? 1 : strtoul(seed, NULL, 10)) + 1;
  }
  state = state * 6364136223846793005ul + 1442695040888963407ul;
  return (void *)(0x100000000000ul + ((state >> 40) << 16));
}

void *pretend_allocate(size_t bytes) {
  void *start = mmap(next_place(), pages(bytes + 1), PROT_READ | PROT_WRITE,
                     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (start == MAP_FAILED) return NULL;
  Block *block = malloc(sizeof *block);
  pthread_mutex_lock(&lock);
  *block = (Block){start, bytes, blocks};
  blocks = block;
  live += bytes;
  if (live > peak) peak = live;
  pthread_mutex_unlock(&lock);
  return start;
}

void pretend_release(void *start) {
  pthread_mutex_lock(&lock);
  for (Block **at = &blocks; *at != NULL; at = &(*at)->next) {
    Block *block = *at;
    if (block->start != start) continue;
    *at = block->next;
    live -= block->bytes;
    munmap(block->start, pages(block->bytes + 1));
    free(block);
    break;
  }
  pthread_mutex_unlock(&lock);
}

int pretend_is_on_gpu(const void *address) {
  int found = 0;
  pthread_mutex_lock(&lock);
  for (Block *block = blocks; block != NULL; block = block->next)
    found |= (const char *)address >= block->start && (const char *)address < block->start + block->bytes;
  pthread_mutex_unlock(&lock);
  return found;
}

EXPORT long pretend_live_bytes(void) { return live; }
EXPORT long pretend_peak_bytes(void) { return peak; }
EXPORT void pretend_reset_peak(void) { peak = live; }
