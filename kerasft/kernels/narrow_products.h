// Products of a few rows by matrices whose numbers stay in 4 or 8 bits: what a token costs is reading them, and so
// reading fewer bytes is faster. Each number is widened to float32 where it is used; sums are of float32.
#pragma once

#include "rows.h"

namespace kerasft {

constexpr int64_t kGroup = 32;    // inputs that share a scale
constexpr float kParts = 16;      // of a zero
constexpr int64_t kAcross = 64;   // columns of a tile, side by side
constexpr int64_t kTogether = 4;  // rows that share what was widened

inline void on_cores(OpKernelContext* context, int64_t count, int64_t cost, const std::function<void(int64_t)>& body) {
  auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
  threads->ParallelFor(count, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

// Rows of x, each filled up with zeros to whole groups, and the sum of each group.
struct Inputs {
  int64_t rows, groups;
  std::vector<float> numbers, sums;

  Inputs(const float* x, int64_t rows, int64_t inner)
      : rows(rows), groups((inner + kGroup - 1) / kGroup), numbers(rows * groups * kGroup), sums(rows * groups) {
    for (int64_t row = 0; row < rows; ++row) {
      std::copy(x + row * inner, x + (row + 1) * inner, &numbers[row * groups * kGroup]);
    }
    for (int64_t i = 0; i < rows * groups * kGroup; ++i) sums[i / kGroup] += numbers[i];
  }
};

inline void widen(const uint16_t* __restrict halves, float* __restrict to, int64_t count) {
  for (int64_t i = 0; i < count; ++i) to[i] = static_cast<float>(reinterpret_cast<const Eigen::half*>(halves)[i]);
}

// ROWS rows by a tile of columns: packed (inner / 2, kAcross), two inputs a byte; scales and zeros (groups, kAcross).
template <int ROWS>
void four_bit_tile(const Inputs& inputs, int64_t first, const uint8_t* packed, const uint16_t* scales,
                   const uint8_t* zeros, float (*out)[kAcross]) {
  float sum[ROWS][kAcross] = {};
  for (int64_t group = 0; group < inputs.groups; ++group) {
    float part[ROWS][kAcross] = {}, scale[kAcross];
    for (int64_t pair = 0; pair < kGroup / 2; ++pair, packed += kAcross) {
      float even[ROWS], odd[ROWS];
      for (int row = 0; row < ROWS; ++row) {
        const float* x = &inputs.numbers[((first + row) * inputs.groups + group) * kGroup + 2 * pair];
        even[row] = x[0], odd[row] = x[1];
      }
      for (int64_t j = 0; j < kAcross; ++j) {
        const float low = static_cast<float>(packed[j] & 15), high = static_cast<float>(packed[j] >> 4);
        for (int row = 0; row < ROWS; ++row) part[row][j] += even[row] * low + odd[row] * high;
      }
    }
    widen(scales + group * kAcross, scale, kAcross);
    for (int row = 0; row < ROWS; ++row) {
      const float all = inputs.sums[(first + row) * inputs.groups + group] / kParts;
      for (int64_t j = 0; j < kAcross; ++j) {
        sum[row][j] += scale[j] * (part[row][j] - all * static_cast<float>(zeros[group * kAcross + j]));
      }
    }
  }
  for (int row = 0; row < ROWS; ++row) std::copy(sum[row], sum[row] + kAcross, out[row]);
}

// x (rows, inner), and a matrix (inner, columns) as tiles of columns -> (rows, columns)
class FourBitProduct : public OpKernel {
 public:
  explicit FourBitProduct(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("columns", &columns_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &packed = context->input(1), &scales = context->input(2);
    OP_REQUIRES(context, x.dims() == 2 && columns_ > 0, tensorflow::errors::InvalidArgument("an operand is a matrix"));
    const int64_t rows = x.dim_size(0), inner = x.dim_size(1);
    const int64_t groups = (inner + kGroup - 1) / kGroup, tiles = (columns_ + kAcross - 1) / kAcross;
    const int64_t each = groups * kAcross, bytes = each * kGroup / 2;
    OP_REQUIRES(context,
                packed.NumElements() == tiles * bytes && scales.NumElements() == tiles * each &&
                    context->input(3).NumElements() == tiles * each,
                tensorflow::errors::InvalidArgument("the four bits are not those of ", inner, " x ", columns_));
    const Inputs inputs(read<float>(context, 0), rows, inner);
    const auto* bits = packed.flat<uint8_t>().data();
    const auto* halves = reinterpret_cast<const uint16_t*>(scales.flat<Eigen::half>().data());
    const auto* zeros = context->input(3).flat<uint8_t>().data();
    float* to = made<float>(context, 0, TensorShape({rows, columns_}));
    if (!context->status().ok()) return;
    on_cores(context, tiles, std::max<int64_t>(1, rows * each * kGroup / 16), [&](int64_t tile) {
      const int64_t column = tile * kAcross, count = std::min(kAcross, columns_ - column);
      float out[kTogether][kAcross];
      for (int64_t row = 0; row < rows; row += kTogether) {
        const int64_t now = std::min(kTogether, rows - row);
        const auto work = [&](auto at_once) {
          four_bit_tile<decltype(at_once)::value>(inputs, row, bits + tile * bytes, halves + tile * each,
                                                  zeros + tile * each, out);
        };
        if (now == 1) work(std::integral_constant<int, 1>());
        if (now == 2) work(std::integral_constant<int, 2>());
        if (now == 3) work(std::integral_constant<int, 3>());
        if (now == 4) work(std::integral_constant<int, 4>());
        for (int64_t i = 0; i < now; ++i) std::copy(out[i], out[i] + count, to + (row + i) * columns_ + column);
      }
    });
  }

 private:
  int64_t columns_ = 0;
};

constexpr int64_t kBeside = 4;  // entries of a table whose sums grow side by side

// One row of x by COUNT entries; FROM: what their numbers are, int8 with scales or float as it is.
template <int COUNT, typename FROM>
void by_entries(const float* __restrict x, const FROM* __restrict numbers, const float* __restrict scales,
                int64_t groups, float* __restrict out) {
  float sum[COUNT][kGroup] = {};
  for (int64_t group = 0; group < groups; ++group) {
    for (int entry = 0; entry < COUNT; ++entry) {
      const FROM* own = numbers + (entry * groups + group) * kGroup;
      const float scale = scales == nullptr ? 1.0f : scales[entry * groups + group];
      for (int64_t i = 0; i < kGroup; ++i) {
        sum[entry][i] += scale * x[group * kGroup + i] * static_cast<float>(own[i]);
      }
    }
  }
  for (int entry = 0; entry < COUNT; ++entry) {
    float all = 0.0f;
    for (int64_t i = 0; i < kGroup; ++i) all += sum[entry][i];
    out[entry] = all;
  }
}

template <int COUNT>
void look_up(const float* x, int64_t rows, const int8_t* numbers, const float* scales, int64_t groups, float* wide,
             float* out, int64_t entries) {
  const int64_t inner = groups * kGroup;
  if (rows == 1) return by_entries<COUNT>(x, numbers, scales, groups, out);
  for (int64_t i = 0; i < COUNT * inner; ++i) wide[i] = scales[i / kGroup] * static_cast<float>(numbers[i]);
  for (int64_t row = 0; row < rows; ++row) {
    by_entries<COUNT>(x + row * inner, wide, static_cast<const float*>(nullptr), groups, out + row * entries);
  }
}

// x (rows, inner) by each row of a table, (entries, inner) int8 with a scale for each group of a row -> (rows, entries)
class EightBitLookup : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &table = context->input(1), &scales = context->input(2);
    OP_REQUIRES(context, x.dims() == 2 && table.dims() == 2 && x.dim_size(1) == table.dim_size(1),
                tensorflow::errors::InvalidArgument("an operand and a table are matrices of one width"));
    const int64_t rows = x.dim_size(0), inner = x.dim_size(1), entries = table.dim_size(0), groups = inner / kGroup;
    OP_REQUIRES(context, inner % kGroup == 0 && scales.NumElements() == entries * groups,
                tensorflow::errors::InvalidArgument("a table's width is a multiple of ", kGroup));
    const float* from = read<float>(context, 0);
    const auto* numbers = table.flat<int8_t>().data();
    const auto* halves = reinterpret_cast<const uint16_t*>(scales.flat<Eigen::half>().data());
    float* to = made<float>(context, 0, TensorShape({rows, entries}));
    if (!context->status().ok()) return;
    constexpr int64_t kEntries = 256;  // of a piece
    on_cores(context, (entries + kEntries - 1) / kEntries, rows * kEntries * inner / 8, [&](int64_t piece) {
      const int64_t end = std::min(entries, (piece + 1) * kEntries);
      std::vector<float> scale(kBeside * groups), wide(kBeside * inner);
      for (int64_t entry = piece * kEntries; entry < end; entry += kBeside) {
        const int64_t now = std::min(kBeside, end - entry);
        widen(halves + entry * groups, scale.data(), now * groups);
        if (now == kBeside) {
          look_up<kBeside>(from, rows, numbers + entry * inner, scale.data(), groups, wide.data(), to + entry, entries);
          continue;
        }
        for (int64_t i = 0; i < now; ++i) {
          look_up<1>(from, rows, numbers + (entry + i) * inner, &scale[i * groups], groups, wide.data(),
                     to + entry + i, entries);
        }
      }
    });
  }
};

}  // namespace kerasft
