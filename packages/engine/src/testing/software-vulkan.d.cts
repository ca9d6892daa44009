/** Whether WebGPU can run in software here. @param what is skipped where not, for the message on stderr. */
export function hasSoftwareVulkan(what: string): boolean;
/** For the processes that use it. */
export function softwareVulkanEnvironment(): {
  readonly VK_DRIVER_FILES: string;
  readonly LD_LIBRARY_PATH: string;
};
