// Dropout with a counter-based generator, in one pass over x and without storing the mask. naive.py has the
// definition of the mask.

#include "../cpu.h"

namespace {

constexpr int LANES = 32, WORDS = 4, BLOCK = LANES * WORDS;  // elements per call of the generator

// Philox4x32-10 for the counters first ... first + LANES - 1. `drawn` gets word 0 of all counters, then word 1
// and so on. Each word is computed in 64 bits, so that the products need no shuffling.
INLINE void philox(uint64_t first, uint64_t seed, uint32_t* drawn) {
  constexpr uint64_t LOW = 0xFFFFFFFFu;
  uint64_t key_0 = seed & LOW, key_1 = seed >> 32, x0[LANES], x1[LANES], x2[LANES], x3[LANES];
  for (int j = 0; j < LANES; ++j) {
    const uint64_t counter = first + j;
    x0[j] = counter & LOW, x1[j] = counter >> 32, x2[j] = x3[j] = 0;
  }
#pragma GCC unroll 1
  for (int round = 0; round < 10; ++round) {
#pragma GCC unroll 1
    for (int j = 0; j < LANES; ++j) {
      const uint64_t a = 0xD2511F53u * x0[j], b = 0xCD9E8D57u * x2[j];
      x0[j] = (b >> 32) ^ x1[j] ^ key_0;
      x2[j] = (a >> 32) ^ x3[j] ^ key_1;
      x1[j] = b & LOW, x3[j] = a & LOW;
    }
    key_0 = (key_0 + 0x9E3779B9u) & LOW, key_1 = (key_1 + 0xBB67AE85u) & LOW;
  }
  for (int j = 0; j < LANES; ++j) drawn[j] = uint32_t(x0[j]);
  for (int j = 0; j < LANES; ++j) drawn[j + LANES] = uint32_t(x1[j]);
  for (int j = 0; j < LANES; ++j) drawn[j + 2 * LANES] = uint32_t(x2[j]);
  for (int j = 0; j < LANES; ++j) drawn[j + 3 * LANES] = uint32_t(x3[j]);
}

// y = scale x where the number drawn for an element is below `threshold`, else 0; for blocks `from` ... `to`.
template <typename Real, typename In, typename Out>
INLINE void dropout_blocks(const In* x, int64_t count, uint64_t seed, uint32_t threshold, Real scale, Out* y,
                           int64_t from, int64_t to) {
  uint32_t drawn[BLOCK];
  for (int64_t block = from; block < to; ++block) {
    philox(uint64_t(block) * LANES, seed, drawn);
    const int64_t start = block * BLOCK, n = std::min<int64_t>(BLOCK, count - start);
    if (n == BLOCK) {
#pragma GCC ivdep
      for (int j = 0; j < BLOCK; ++j)
        store(y[start + j], drawn[j] < threshold ? widened(x[start + j]) * scale : Real(0));
    } else {
      for (int j = 0; j < n; ++j)
        store(y[start + j], drawn[j] < threshold ? widened(x[start + j]) * scale : Real(0));
    }
  }
}

}  // namespace

#define FUNCTIONS_FOR(suffix, Real, In, Out)                                                                 \
  FOR_EACH_PROCESSOR                                                                                         \
  static void blocks_##suffix(const In* x, int64_t count, uint64_t seed, uint32_t threshold, Real scale,     \
                              Out* y, int64_t from, int64_t to) {                                            \
    dropout_blocks(x, count, seed, threshold, scale, y, from, to);                                           \
  }                                                                                                          \
  extern "C" void dropout_##suffix(int threads, const In* x, int64_t count, int64_t seed, int64_t threshold, \
                                   double scale, Out* y) {                                                   \
    parallel_for((count + BLOCK - 1) / BLOCK, threads, [=](int64_t from, int64_t to) {                       \
      blocks_##suffix(x, count, uint64_t(seed), uint32_t(threshold), Real(scale), y, from, to);              \
    });                                                                                                      \
  }

FUNCTIONS_FOR(float, float, float, float)
FUNCTIONS_FOR(double, double, double, double)
FUNCTIONS_FOR(to_bfloat16_float, float, float, bfloat16)
FUNCTIONS_FOR(of_bfloat16_float, float, bfloat16, float)
