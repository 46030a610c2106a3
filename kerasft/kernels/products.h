// Which instructions our matrix products in bfloat16 are made of: the fastest that this processor has.
//
// With AMX oneDNN has faster products than these; without any of the instructions there are none of ours. A header of
// products gives, for operands in bfloat16 and sums that end in float32:
//
//     kRows, kTurned       rows of the left operand at a time, as they are and turned over; they stay near
//     panels, packed_size  of a right operand (inner, columns): side by side, and its numbers of 16 bits once packed
//     pack_panel           a panel of a weight (inner, columns); pack_turned_panel: of what (columns, inner) is turned over
//     multiply_rows        rows of x by a packed weight, plus a bias
//     pack_right           a panel of rows (inner, columns) in bfloat16
//     multiply_turned      columns of x, turned over, by packed rows
#pragma once

#if defined(__AVX512BF16__) && defined(__AVX512VL__) && !defined(__AMX_BF16__)
#define KERASFT_PRODUCTS 1
#ifdef __AVX512FP16__
#include "half_products.h"
#else
#include "pair_products.h"
#endif
#endif
