// Matrix products in bfloat16 by AVX512-BF16 (`vdpbf16ps`: two products a lane, summed in float32).
//
// Operands are packed so that both are read in order: 64 columns side by side, pairs of the inner dimension beside each
// other.
#pragma once

#include <immintrin.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "loops.h"
#include "stretches.h"

namespace kerasft {

constexpr int kPanel = 64;  // columns
constexpr int kTile = 6;    // rows: 24 registers of sums, 4 of columns and one of rows make 29 of 32
constexpr int kVectors = kPanel / 16;
constexpr int64_t kRows = 96;
constexpr int64_t kTurned = 48;

inline int64_t panels(int64_t columns) { return (columns + kPanel - 1) / kPanel; }
inline int64_t pairs(int64_t inner) { return (inner + 1) / 2; }
inline int64_t panel_size(int64_t inner) { return pairs(inner) * kPanel; }  // pairs
inline int64_t packed_size(int64_t inner, int64_t columns) { return panels(columns) * panel_size(inner) * 2; }

// In the upper half.
inline uint32_t rounded(float value) { return uint32_t{to_bfloat16(value).bits} << 16; }

// A panel of a weight (inner, columns): pairs of its rows.
inline void pack_panel(const float* from, int64_t inner, int64_t columns, int64_t panel, uint16_t* packed) {
  const int64_t first = panel * kPanel, count = std::min<int64_t>(kPanel, columns - first);
  uint32_t* out = reinterpret_cast<uint32_t*>(packed) + panel * panel_size(inner);
  for (int64_t pair = 0; pair < pairs(inner); ++pair, out += kPanel) {
    const bool whole = 2 * pair + 1 < inner;
    const float *low = from + 2 * pair * columns + first, *high = whole ? low + columns : low;
    const uint32_t kept = whole ? 0xFFFF0000 : 0;
    for (int64_t n = 0; n < count; ++n) out[n] = rounded(low[n]) >> 16 | (rounded(high[n]) & kept);
    for (int64_t n = count; n < kPanel; ++n) out[n] = 0;
  }
}

// A panel of what a weight (columns, inner) is turned over: pairs of its columns, as many of them at a time as stay near.
inline void pack_turned_panel(const float* from, int64_t columns, int64_t inner, int64_t panel, uint16_t* packed) {
  constexpr int64_t kNear = 32;
  const int64_t first = panel * kPanel, count = std::min<int64_t>(kPanel, columns - first), all = pairs(inner);
  uint32_t* out = reinterpret_cast<uint32_t*>(packed) + panel * panel_size(inner);
  if (count < kPanel) std::fill(out, out + all * kPanel, 0u);
  uint32_t found[kNear] = {};
  for (int64_t begin = 0; begin < all; begin += kNear) {
    const int64_t taken = std::min(kNear, all - begin);
    for (int64_t n = 0; n < count; ++n) {
      const float* row = from + (first + n) * inner + 2 * begin;
      const int64_t whole = std::min(taken, inner / 2 - begin);
      for (int64_t pair = 0; pair < whole; ++pair) {
        found[pair] = rounded(row[2 * pair]) >> 16 | (rounded(row[2 * pair + 1]) & 0xFFFF0000);
      }
      if (whole < taken) found[whole] = rounded(row[2 * whole]) >> 16;
      for (int64_t pair = 0; pair < taken; ++pair) out[(begin + pair) * kPanel + n] = found[pair];
    }
  }
}

inline void pack_weight(const float* from, int64_t inner, int64_t columns, uint16_t* forward, uint16_t* back,
                        const Parallel& parallel) {
  parallel(panels(columns), 2 * inner * kPanel,
           [&](int64_t panel) { pack_panel(from, inner, columns, panel, forward); });
  parallel(panels(inner), 2 * columns * kPanel,
           [&](int64_t panel) { pack_turned_panel(from, inner, columns, panel, back); });
}

// `count` columns of rows that are the inner dimension: (inner, width) -> (pairs, across), rest 0.
inline void pack_rows(const Bfloat16* from, int64_t width, int64_t inner, int64_t count, int64_t across, uint32_t* to) {
  for (int64_t pair = 0; pair < pairs(inner); ++pair, to += across) {
    const bool whole = 2 * pair + 1 < inner;
    const Bfloat16 *low = from + 2 * pair * width, *high = whole ? low + width : low;
    const uint32_t kept = whole ? 0xFFFF0000 : 0;
    for (int64_t n = 0; n < count; ++n) to[n] = low[n].bits | ((uint32_t{high[n].bits} << 16) & kept);
    for (int64_t n = count; n < across; ++n) to[n] = 0;
  }
}

// Of each stretch the last row is a pair with nothing where there is an odd number.
inline int64_t inner_of(const std::vector<Stretch>& stretches) {
  int64_t count = 0;
  for (const Stretch& stretch : stretches) count += pairs(stretch.rows);
  return 2 * count;
}

inline void pack_right(const std::vector<Stretch>& stretches, int64_t columns, int64_t panel, uint16_t* packed) {
  const int64_t first = panel * kPanel, count = std::min<int64_t>(kPanel, columns - first);
  uint32_t* to = reinterpret_cast<uint32_t*>(packed) + panel * panel_size(inner_of(stretches));
  for (const Stretch& part : stretches) {
    pack_rows(part.right + first, columns, part.rows, count, kPanel, to);
    to += pairs(part.rows) * kPanel;
  }
}

struct Sums {  // where a tile's sums go
  Bfloat16* rounded;   // with `bias`, or
  float* exact;        // added to what is there where `more`
  const float* bias;   // or null
  bool more;
  int64_t width;       // of a row there
};

// A tile of ROWS by 64: rows[i * by_row + k * by_pair] holds a pair, `panel` has the columns.
template <int ROWS>
inline void multiply(const uint32_t* rows, int64_t by_row, int64_t by_pair, const uint32_t* panel, int64_t count,
                     const Sums& sums, int64_t at, int64_t column, int64_t columns) {
  __m512 sum[ROWS][kVectors];
#pragma GCC unroll 8
  for (int i = 0; i < ROWS; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) sum[i][j] = _mm512_setzero_ps();
  }
  for (int64_t k = 0; k < count; ++k) {
    __m512bh right[kVectors];
#pragma GCC unroll 4
    for (int j = 0; j < kVectors; ++j) right[j] = (__m512bh)_mm512_loadu_si512(panel + k * kPanel + j * 16);
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
      const __m512bh left = (__m512bh)_mm512_set1_epi32(static_cast<int>(rows[i * by_row + k * by_pair]));
#pragma GCC unroll 4
      for (int j = 0; j < kVectors; ++j) sum[i][j] = _mm512_dpbf16_ps(sum[i][j], left, right[j]);
    }
  }
#pragma GCC unroll 4
  for (int j = 0; j < kVectors; ++j) {
    const int64_t left = columns - column - 16 * j;
    if (left <= 0) break;
    const __mmask16 mask = left >= 16 ? 0xFFFF : static_cast<__mmask16>((1u << left) - 1);
    const int64_t place = at * sums.width + column + 16 * j;
    const __m512 bias = sums.bias ? _mm512_maskz_loadu_ps(mask, sums.bias + column + 16 * j) : _mm512_setzero_ps();
#pragma GCC unroll 8
    for (int i = 0; i < ROWS; ++i) {
      __m512 found = _mm512_add_ps(sum[i][j], bias);
      if (sums.rounded) {
        const __m256i halves = (__m256i)_mm512_cvtneps_pbh(found);
        _mm256_mask_storeu_epi16(sums.rounded + place + i * sums.width, mask, halves);
      } else {
        float* out = sums.exact + place + i * sums.width;
        if (sums.more) found = _mm512_add_ps(found, _mm512_maskz_loadu_ps(mask, out));
        _mm512_mask_storeu_ps(out, mask, found);
      }
    }
  }
}

inline void multiply_some(int count_rows, const uint32_t* rows, int64_t by_row, int64_t by_pair, const uint32_t* panel,
                          int64_t count, const Sums& sums, int64_t at, int64_t column, int64_t columns) {
  switch (count_rows) {
    case 6: return multiply<6>(rows, by_row, by_pair, panel, count, sums, at, column, columns);
    case 5: return multiply<5>(rows, by_row, by_pair, panel, count, sums, at, column, columns);
    case 4: return multiply<4>(rows, by_row, by_pair, panel, count, sums, at, column, columns);
    case 3: return multiply<3>(rows, by_row, by_pair, panel, count, sums, at, column, columns);
    case 2: return multiply<2>(rows, by_row, by_pair, panel, count, sums, at, column, columns);
    case 1: return multiply<1>(rows, by_row, by_pair, panel, count, sums, at, column, columns);
  }
}

// Rows of the left operand by all panels; the first has the place `at` in what comes of it.
inline void multiply_panels(const uint32_t* left, int64_t by_row, int64_t by_pair, int64_t rows, const uint16_t* packed,
                            int64_t inner, const Sums& sums, int64_t at, int64_t columns) {
  const auto* right = reinterpret_cast<const uint32_t*>(packed);
  for (int64_t panel = 0; panel < panels(columns); ++panel) {
    for (int64_t row = 0; row < rows; row += kTile) {
      multiply_some(std::min<int64_t>(kTile, rows - row), left + row * by_row, by_row, by_pair,
                    right + panel * panel_size(inner), pairs(inner), sums, at + row, panel * kPanel, columns);
    }
  }
}

// `inner` is even.
inline void multiply_rows(const Bfloat16* x, int64_t inner, int64_t begin, int64_t end, const uint16_t* packed,
                          int64_t columns, const float* bias, Bfloat16* y) {
  const auto* left = reinterpret_cast<const uint32_t*>(x + begin * inner);
  const Sums sums{y, nullptr, bias, false, columns};
  multiply_panels(left, pairs(inner), 1, end - begin, packed, inner, sums, begin, columns);
}

// Columns [begin, end) of the left operands (rows, inner), turned over, by packed rows -> weight (inner, columns), added
// where `more`.
inline void multiply_turned(const std::vector<Stretch>& stretches, int64_t inner, int64_t begin, int64_t end,
                            const uint16_t* packed, int64_t columns, bool more, float* weight) {
  const int64_t all = inner_of(stretches);
  std::vector<uint32_t> left(pairs(all) * kTurned);
  uint32_t* to = left.data();
  for (const Stretch& part : stretches) {
    pack_rows(part.left + begin, inner, part.rows, end - begin, kTurned, to);
    to += pairs(part.rows) * kTurned;
  }
  const Sums sums{nullptr, weight, nullptr, more, columns};
  multiply_panels(left.data(), 1, kTurned, end - begin, packed, all, sums, begin, columns);
}

}  // namespace kerasft
