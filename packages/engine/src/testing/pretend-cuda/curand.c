/* A pretend cuRAND: the provider is linked against it and calls nothing of it here. libcurand.so.10. */
