// A Vulkan driver that forwards everything to Mesa's lavapipe and introduces itself as SwiftShader,
// because Chromium accepts no other CPU adapter for WebGPU. For tests only. LVP_LIB names lavapipe's library.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

typedef void (*Function)(void);
typedef Function (*GetProc)(void *, const char *);

static GetProc instance_proc;
static int (*negotiate)(uint32_t *);
static void (*real_properties)(void *, uint32_t *);
static void (*real_properties2)(void *, char *);

static void init(void) {
  if (instance_proc) return;
  void *lib = dlopen(LVP_LIB, RTLD_NOW | RTLD_LOCAL);
  if (!lib) {
    fprintf(stderr, "lavapipe shim: %s\n", dlerror());
    return;
  }
  instance_proc = (GetProc)dlsym(lib, "vk_icdGetInstanceProcAddr");
  negotiate = (int (*)(uint32_t *))dlsym(lib, "vk_icdNegotiateLoaderICDInterfaceVersion");
}

// Words of VkPhysicalDeviceProperties: [2] vendorID, [3] deviceID, [4] deviceType (4 = CPU),
// [81] limits.maxStorageBufferRange, raised to the 1 GiB that lavapipe really takes.
static void disguise(uint32_t *words) {
  words[2] = 0x1AE0;
  words[3] = 0xC0DE;
  words[4] = 4;
  words[81] = 0x40000000u;
}

static void properties(void *device, uint32_t *out) {
  real_properties(device, out);
  disguise(out);
}

// VkPhysicalDeviceProperties2 starts with sType and pNext: 16 bytes.
static void properties2(void *device, char *out) {
  real_properties2(device, out);
  disguise((uint32_t *)(out + 16));
}

// Chromium insists on exportable semaphores. Software needs none, so claim that whatever type is asked for works:
// exportFromImportedHandleTypes, compatibleHandleTypes, externalSemaphoreFeatures (1 exportable | 2 importable).
static void semaphore_properties(void *device, const char *info, char *out) {
  (void)device;
  uint32_t type = *(const uint32_t *)(info + 16), *words = (uint32_t *)(out + 16);
  words[0] = type;
  words[1] = type;
  words[2] = 3;
}

static Function hook(const char *name, Function real) {
  if (!real) return real;
  if (!strcmp(name, "vkGetPhysicalDeviceProperties")) {
    real_properties = (void *)real;
    return (Function)properties;
  }
  if (!strcmp(name, "vkGetPhysicalDeviceProperties2") || !strcmp(name, "vkGetPhysicalDeviceProperties2KHR")) {
    real_properties2 = (void *)real;
    return (Function)properties2;
  }
  if (!strncmp(name, "vkGetPhysicalDeviceExternalSemaphoreProperties", 46)) return (Function)semaphore_properties;
  return real;
}

Function vk_icdGetInstanceProcAddr(void *instance, const char *name) {
  init();
  return instance_proc ? hook(name, instance_proc(instance, name)) : 0;
}

int vk_icdNegotiateLoaderICDInterfaceVersion(uint32_t *version) {
  init();
  return negotiate ? negotiate(version) : 0;
}
