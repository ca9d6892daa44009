const { existsSync } = require('node:fs');
const { dirname } = require('node:path');

/** Vulkan in software, as Chromium brings it. */
const SOFTWARE_VULKAN = '/usr/lib/chromium/vk_swiftshader_icd.json';

/** Says on stderr what is skipped without it. */
function hasSoftwareVulkan(what) {
  const found = existsSync(SOFTWARE_VULKAN);
  if (!found)
    console.warn(
      `${what}: skipped, ${SOFTWARE_VULKAN} is missing (Debian: apt-get install chromium).`,
    );
  return found;
}

function softwareVulkanEnvironment() {
  const libraries = [dirname(SOFTWARE_VULKAN), process.env.LD_LIBRARY_PATH];
  return {
    VK_DRIVER_FILES: SOFTWARE_VULKAN,
    LD_LIBRARY_PATH: libraries.filter(Boolean).join(':'),
  };
}

module.exports = { hasSoftwareVulkan, softwareVulkanEnvironment };
