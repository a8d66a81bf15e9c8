// A worker's standard output carries frames alone: what llama.cpp's server prints there goes to standard error.
#include <cstdio>
#define printf(...) fprintf(stderr, __VA_ARGS__)
