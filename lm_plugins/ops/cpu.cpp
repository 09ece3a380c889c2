// What the kernels were built from: cpu_kernels.py takes no other.
extern "C" const char* kernels_source() { return SOURCE; }
