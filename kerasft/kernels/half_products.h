// Matrix products by AVX512-FP16 (`vfmadd231ph`: 32 products a register), for operands in bfloat16.
//
// Intel's processors multiply in float16 four times as fast as by `vdpbf16ps`, and twice as fast as in float32. Two
// things keep it as exact as bfloat16 is. Each row and each panel is brought near 8 by a power of two, so that nothing
// overflows, and the smallest gradients stay. And no more than kDepth products are summed in float16, whose roundings then
// are less than those of operands in bfloat16 (a random walk of 64 steps of 2^-12 is near 2^-10); the rest in float32.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>

#include "loops.h"
#include "small_products.h"
#include "stretches.h"

namespace kerasft {

constexpr int kPanel = 128;  // columns
constexpr int kVectors = kPanel / 32;
constexpr int kTile = 6;     // rows: 24 registers of sums, 4 of columns and one of rows make 29 of 32
constexpr int kDepth = 64;   // products summed in float16: of operands below 16 at most 16,384, of 65,504 possible
constexpr int64_t kLine = 64;                           // bytes
constexpr int64_t kLines = kDepth * kPanel * 2 / kLine;  // of a stretch of a panel
constexpr int64_t kRows = 96;
constexpr int64_t kTurned = 48;

inline int64_t panels(int64_t columns) { return (columns + kPanel - 1) / kPanel; }

// A scale in float32 stands behind the numbers of a panel, in a line of its own.
inline int64_t panel_size(int64_t inner) { return inner * kPanel + 32; }
inline int64_t packed_size(int64_t inner, int64_t columns) { return panels(columns) * panel_size(inner); }

// The power of two that brings the largest of values, by its bits without a sign, into [8, 16); of nothing and of what
// is no number 1, of what is next to nothing or to overflowing one that has a reciprocal.
inline float scale_of(uint32_t bits) {
  const uint32_t exponent = bits >> 23;
  if (exponent == 0 || exponent == 255) return 1.0f;
  const uint32_t power = std::clamp<uint32_t>(257 - exponent, 2, 252) << 23;
  float scale;
  std::memcpy(&scale, &power, sizeof scale);
  return scale;
}

inline uint32_t most(const float* values, int64_t count, uint32_t found) {
  for (int64_t i = 0; i < count; ++i) {
    uint32_t bits;
    std::memcpy(&bits, values + i, sizeof bits);
    found = std::max(found, bits & 0x7FFFFFFF);
  }
  return found;
}

inline uint32_t most(const Bfloat16* values, int64_t count, uint32_t found) {
  uint16_t own = 0;
  for (int64_t i = 0; i < count; ++i) own = std::max<uint16_t>(own, values[i].bits & 0x7FFF);
  return std::max(found, static_cast<uint32_t>(own) << 16);
}

inline __mmask16 some(int64_t count) { return count >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << count) - 1); }

inline __m512 sixteen(const float* from, __mmask16 mask) { return _mm512_maskz_loadu_ps(mask, from); }

inline __m512 sixteen(const Bfloat16* from, __mmask16 mask) {
  return (__m512)_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_maskz_loadu_epi16(mask, from)), 16);
}

inline __m256i halves(__m512 values, float scale) {
  return (__m256i)_mm512_cvtxps_ph(_mm512_mul_ps(values, _mm512_set1_ps(scale)));
}

// A number becomes two, side by side: what a register is filled with from memory has 32 bits, 16 cost an instruction.
template <typename T>
void twice(const T* from, float scale, int64_t count, uint32_t* to) {
  for (int64_t i = 0; i < count; i += 16) {
    const __mmask16 mask = some(count - i);
    const __m512i wide = _mm512_cvtepu16_epi32(halves(sixteen(from + i, mask), scale));
    _mm512_mask_storeu_epi32(to + i, mask, _mm512_or_si512(wide, _mm512_slli_epi32(wide, 16)));
  }
}

// A row of a panel, the rest 0.
template <typename T>
void once(const T* from, float scale, int64_t count, uint16_t* to) {
  for (int64_t i = 0; i < kPanel; i += 16) {
    const __mmask16 mask = i < count ? some(count - i) : 0;
    _mm256_storeu_epi16(to + i, halves(sixteen(from + i, mask), scale));
  }
}

inline void put_scale(float scale, uint16_t* to) {
  const float back = 1.0f / scale;
  std::memcpy(to, &back, sizeof back);
}

inline float scale_behind(const uint16_t* panel, int64_t inner) {
  float back;
  std::memcpy(&back, panel + inner * kPanel, sizeof back);
  return back;
}

inline uint32_t most(const Bfloat16* values, int64_t across, int64_t rows, int64_t columns) {
  uint32_t found = 0;
  for (int64_t row = 0; row < rows; ++row) found = most(values + row * across, columns, found);
  return found;
}

// Rows [first, first + 16) of a weight (inner, columns), which is read once for both forms. Behind the last row there is
// nothing, up to a whole panel.
inline void pack_sixteen(const float* from, int64_t inner, int64_t columns, int64_t first, float scale,
                         uint16_t* forward, uint16_t* back) {
  const int64_t rows = std::clamp<int64_t>(inner - first, 0, 16);
  for (int64_t row = first; row < first + rows; ++row) {
    for (int64_t panel = 0; panel < panels(columns); ++panel) {
      const int64_t column = panel * kPanel;
      once(from + row * columns + column, scale, columns - column, forward + panel * panel_size(inner) + row * kPanel);
    }
  }
  uint16_t* to = back + first / kPanel * panel_size(columns) + first % kPanel;
  for (int64_t column = 0; column < columns; column += 16) {
    __m512 block[16];
    const __mmask16 mask = some(columns - column);
#pragma GCC unroll 16
    for (int i = 0; i < 16; ++i) block[i] = sixteen(from + (first + i) * columns + column, i < rows ? mask : 0);
    turn(block);
    const int64_t taken = std::min<int64_t>(16, columns - column);
    for (int64_t i = 0; i < taken; ++i) _mm256_storeu_epi16(to + (column + i) * kPanel, halves(block[i], scale));
  }
}

inline void pack_weight(const float* from, int64_t inner, int64_t columns, uint16_t* forward, uint16_t* back,
                        const Parallel& parallel) {
  const float scale = scale_of(most(from, inner * columns, 0));
  parallel(panels(inner) * kPanel / 16, 64 * columns, [&](int64_t block) {
    pack_sixteen(from, inner, columns, 16 * block, scale, forward, back);
  });
  for (int64_t panel = 0; panel < panels(columns); ++panel) {
    put_scale(scale, forward + panel * panel_size(inner) + inner * kPanel);
  }
  for (int64_t panel = 0; panel < panels(inner); ++panel) {
    put_scale(scale, back + panel * panel_size(columns) + columns * kPanel);
  }
}

inline int64_t inner_of(const std::vector<Stretch>& stretches) {
  int64_t rows = 0;
  for (const Stretch& stretch : stretches) rows += stretch.rows;
  return rows;
}

inline void pack_right(const std::vector<Stretch>& stretches, int64_t columns, int64_t panel, uint16_t* packed) {
  const int64_t inner = inner_of(stretches), first = panel * kPanel, count = std::min<int64_t>(kPanel, columns - first);
  uint16_t *start = packed + panel * panel_size(inner), *to = start;
  uint32_t largest = 0;
  for (const Stretch& part : stretches) largest = std::max(largest, most(part.right + first, columns, part.rows, count));
  const float scale = scale_of(largest);
  for (const Stretch& part : stretches) {
    for (int64_t k = 0; k < part.rows; ++k, to += kPanel) once(part.right + k * columns + first, scale, count, to);
  }
  put_scale(scale, start + inner * kPanel);
}

// A tile of ROWS by a panel: left[i * by_row + k * by_inner] holds a number twice. Sums go to, or are added to, `sums`.
template <int ROWS>
void multiply(const uint32_t* left, int64_t by_row, int64_t by_inner, const uint16_t* panel, int64_t depth, bool more,
              float* sums) {
  __m512h sum[ROWS][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[i][j] = _mm512_setzero_ph();
  }
  for (int64_t k = 0; k < depth; ++k) {
    __m512h right[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) right[j] = _mm512_loadu_ph(panel + k * kPanel + j * 32);
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
      const __m512h own = (__m512h)_mm512_set1_epi32(static_cast<int>(left[i * by_row + k * by_inner]));
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[i][j] = _mm512_fmadd_ph(own, right[j], sum[i][j]);
    }
  }
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) {
      float* out = sums + i * kPanel + j * 32;
      const __m512d both = (__m512d)sum[i][j];
      __m512 low = _mm512_cvtxph_ps((__m256h)_mm512_castpd512_pd256(both));
      __m512 high = _mm512_cvtxph_ps((__m256h)_mm512_extractf64x4_pd(both, 1));
      if (more) low = _mm512_add_ps(low, _mm512_load_ps(out)), high = _mm512_add_ps(high, _mm512_load_ps(out + 16));
      _mm512_store_ps(out, low);
      _mm512_store_ps(out + 16, high);
    }
  }
}

// Rows by a panel -> sums (rows, kPanel); a stretch of the panel stays near while all rows go by, and the next
// one is fetched meanwhile: weights come from far.
inline void multiply_all(const uint32_t* left, int64_t by_row, int64_t by_inner, int64_t rows, const uint16_t* panel,
                         int64_t inner, float* sums) {
  const int64_t tiles = (rows + kTile - 1) / kTile, ahead = (kLines + tiles - 1) / tiles;
  for (int64_t k = 0; k < inner; k += kDepth) {
    const int64_t depth = std::min<int64_t>(kDepth, inner - k);
    const uint16_t* near = panel + k * kPanel;
    const uint32_t* from = left + k * by_inner;
    const char* next = reinterpret_cast<const char*>(near + kDepth * kPanel);
    int64_t row = 0;
    for (; row + kTile <= rows; row += kTile) {
      for (int64_t i = 0; i < ahead; ++i, next += kLine) _mm_prefetch(next, _MM_HINT_T1);
      multiply<kTile>(from + row * by_row, by_row, by_inner, near, depth, k > 0, sums + row * kPanel);
    }
    from += row * by_row;
    float* rest = sums + row * kPanel;
    switch (rows - row) {
      case 5: multiply<5>(from, by_row, by_inner, near, depth, k > 0, rest); break;
      case 4: multiply<4>(from, by_row, by_inner, near, depth, k > 0, rest); break;
      case 3: multiply<3>(from, by_row, by_inner, near, depth, k > 0, rest); break;
      case 2: multiply<2>(from, by_row, by_inner, near, depth, k > 0, rest); break;
      case 1: multiply<1>(from, by_row, by_inner, near, depth, k > 0, rest); break;
    }
  }
}

inline void multiply_rows(const Bfloat16* x, int64_t inner, int64_t begin, int64_t end, const uint16_t* packed,
                          int64_t columns, const float* bias, Bfloat16* y) {
  alignas(64) float sums[kRows * kPanel];
  float back[kRows];
  const std::unique_ptr<uint32_t[]> left(new uint32_t[(end - begin) * inner]);
  for (int64_t row = begin; row < end; ++row) {
    const float scale = scale_of(most(x + row * inner, inner, 0));
    twice(x + row * inner, scale, inner, &left[(row - begin) * inner]);
    back[row - begin] = 1.0f / scale;
  }
  for (int64_t panel = 0; panel < panels(columns); ++panel) {
    const uint16_t* right = packed + panel * panel_size(inner);
    const float whole = scale_behind(right, inner);
    multiply_all(left.get(), inner, 1, end - begin, right, inner, sums);
    for (int64_t column = panel * kPanel, i = 0; i < kPanel && column < columns; i += 16, column += 16) {
      const __mmask16 mask = some(columns - column);
      const __m512 added = bias ? _mm512_maskz_loadu_ps(mask, bias + column) : _mm512_setzero_ps();
      for (int64_t row = begin; row < end; ++row) {
        const __m512 scale = _mm512_mul_ps(_mm512_set1_ps(back[row - begin]), _mm512_set1_ps(whole));
        const __m512 found = _mm512_fmadd_ps(_mm512_load_ps(sums + (row - begin) * kPanel + i), scale, added);
        _mm256_mask_storeu_epi16(y + row * columns + column, mask, (__m256i)_mm512_cvtneps_pbh(found));
      }
    }
  }
}

// Columns [begin, end) of the left operands (rows, inner), turned over, by packed rows -> weight (inner, columns), added
// where `more`.
inline void multiply_turned(const std::vector<Stretch>& stretches, int64_t inner, int64_t begin, int64_t end,
                            const uint16_t* packed, int64_t columns, bool more, float* weight) {
  alignas(64) float sums[kTurned * kPanel];
  const int64_t rows = inner_of(stretches), own = end - begin;
  const std::unique_ptr<uint32_t[]> left(new uint32_t[rows * own]);
  uint32_t largest = 0, *to = left.get();
  for (const Stretch& part : stretches) largest = std::max(largest, most(part.left + begin, inner, part.rows, own));
  const float scale = scale_of(largest), back = 1.0f / scale;
  for (const Stretch& part : stretches) {
    for (int64_t row = 0; row < part.rows; ++row, to += own) twice(part.left + row * inner + begin, scale, own, to);
  }
  // Whole lines of memory go there without being read first.
  const bool lines = !more && columns % 16 == 0 && reinterpret_cast<uintptr_t>(weight) % 64 == 0;
  for (int64_t panel = 0; panel < panels(columns); ++panel) {
    const uint16_t* right = packed + panel * panel_size(rows);
    const __m512 whole = _mm512_mul_ps(_mm512_set1_ps(back), _mm512_set1_ps(scale_behind(right, rows)));
    multiply_all(left.get(), 1, own, own, right, rows, sums);
    for (int64_t column = panel * kPanel, i = 0; i < kPanel && column < columns; i += 16, column += 16) {
      const __mmask16 mask = some(columns - column);
      for (int64_t row = 0; row < own; ++row) {
        float* out = weight + (begin + row) * columns + column;
        const __m512 found = _mm512_mul_ps(_mm512_load_ps(sums + row * kPanel + i), whole);
        if (lines) {
          _mm512_stream_ps(out, found);
        } else {
          const __m512 before = more ? _mm512_maskz_loadu_ps(mask, out) : _mm512_setzero_ps();
          _mm512_mask_storeu_ps(out, mask, _mm512_add_ps(found, before));
        }
      }
    }
  }
  _mm_sfence();
}

}  // namespace kerasft
