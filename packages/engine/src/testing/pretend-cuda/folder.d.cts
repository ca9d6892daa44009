/** Folders of the wheels' files and of the pretend libraries. */
export interface PretendCudaFolders {
  readonly packages: string;
  readonly libraries: string;
}
export function pretendCudaFolders(version: string): PretendCudaFolders;
export function pretendCudaEnvironment(folders: PretendCudaFolders): NodeJS.ProcessEnv;
