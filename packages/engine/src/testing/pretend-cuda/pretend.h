/* Shared by the pretend libraries: every call is counted by name in the pretend CUDA runtime. */
#ifndef PRETEND_H
#define PRETEND_H

#define EXPORT __attribute__((visibility("default")))

EXPORT void pretend_count_call(const char *name);

#define COUNT pretend_count_call(__func__)

/* A function whose only effects are its count and its success; its parameters do not matter. */
#define SUCCEED(name)            \
  EXPORT int name() {            \
    pretend_count_call(#name);   \
    return 0;                    \
  }

/* A function that makes a handle through its first parameter. */
#define CREATE(name)             \
  EXPORT int name(void **made) { \
    pretend_count_call(#name);   \
    *made = calloc(1, 256);      \
    return 0;                    \
  }

#define DESTROY(name)            \
  EXPORT int name(void *made) {  \
    pretend_count_call(#name);   \
    free(made);                  \
    return 0;                    \
  }

#endif
