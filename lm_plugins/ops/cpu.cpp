// The digest of the sources that the library was built from: cpu_kernels.py uses no other library.
extern "C" const char* kernels_source() { return SOURCE; }
