// Matrix products as kernels of TensorFlow; none where the processor has no use for them (products.h).
#pragma once

#include "products.h"

#ifdef KERASFT_PRODUCTS

#include "rows.h"

namespace kerasft {

using tensorflow::bfloat16;

constexpr int64_t kRows = 96;    // of the left operand at a time: they stay near while all panels go by
constexpr int64_t kTurned = 48;  // columns that are its rows, where it is turned over

void in_parallel(OpKernelContext* context, int64_t count, int64_t cost, const std::function<void(int64_t)>& body) {
  auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
  threads->ParallelFor(count, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

const uint32_t* packed(OpKernelContext* context, int index) {
  return reinterpret_cast<const uint32_t*>(context->input(index).flat<bfloat16>().data());
}

// A weight for products by it (inner, columns), and for those by what it is turned over, which go back.
class Pack : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor& weight = context->input(0);
    OP_REQUIRES(context, weight.dims() == 2, tensorflow::errors::InvalidArgument("a weight is a matrix"));
    const int64_t inner = weight.dim_size(0), columns = weight.dim_size(1);
    const float* from = read<float>(context, 0);
    auto* forward = made<bfloat16>(context, 0, TensorShape({packed_size(inner, columns)}));
    auto* back = made<bfloat16>(context, 1, TensorShape({packed_size(columns, inner)}));
    if (!context->status().ok()) return;
    in_parallel(context, panels(columns), 2 * inner * kPanel, [&](int64_t panel) {
      pack_panel(from, inner, columns, panel, reinterpret_cast<uint32_t*>(forward));
    });
    in_parallel(context, panels(inner), 2 * columns * kPanel, [&](int64_t panel) {
      pack_turned_panel(from, inner, columns, panel, reinterpret_cast<uint32_t*>(back));
    });
  }
};

// x (rows, inner) by a packed weight (inner, columns), and a bias unless it is empty -> (rows, columns)
class Product : public OpKernel {
 public:
  explicit Product(OpKernelConstruction* context) : OpKernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("columns", &columns_));
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& x = context->input(0);
    OP_REQUIRES(context, x.dims() == 2 && x.dim_size(1) % 2 == 0,
                tensorflow::errors::InvalidArgument("an operand is a matrix of an even width"));
    const int64_t rows = x.dim_size(0), inner = x.dim_size(1), biases = context->input(2).NumElements();
    OP_REQUIRES(context, context->input(1).NumElements() == packed_size(inner, columns_) &&
                             (biases == 0 || biases == columns_),
                tensorflow::errors::InvalidArgument("a weight that was packed for other sizes"));
    const auto* left = reinterpret_cast<const uint32_t*>(read<bfloat16>(context, 0));
    const uint32_t* right = packed(context, 1);
    const float* bias = biases ? read<float>(context, 2) : nullptr;
    auto* y = made<bfloat16>(context, 0, TensorShape({rows, columns_}));
    if (y == nullptr) return;
    const Sums sums{y, nullptr, bias, false, columns_};
    const int64_t count = pairs(inner);
    in_parallel(context, (rows + kRows - 1) / kRows, kRows * inner * columns_ / 32, [&](int64_t block) {
      const int64_t end = std::min(rows, (block + 1) * kRows);
      for (int64_t panel = 0; panel < panels(columns_); ++panel) {
        for (int64_t row = block * kRows; row < end; row += kTile) {
          multiply_some(std::min<int64_t>(kTile, end - row), left + row * count, count, 1,
                        right + panel * count * kPanel, count, sums, row, panel * kPanel, columns_);
        }
      }
    });
  }

 private:
  int64_t columns_ = 0;
};

// The gradient of a weight, x (rows, inner) turned over by dy (rows, columns), and of a bias, the sum of dy's rows.
class ProductGrad : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const Tensor &x = context->input(0), &dy = context->input(1);
    OP_REQUIRES(context, x.dims() == 2 && dy.dims() == 2 && x.dim_size(0) == dy.dim_size(0),
                tensorflow::errors::InvalidArgument("operands are matrices of as many rows"));
    const int64_t rows = x.dim_size(0), inner = x.dim_size(1), columns = dy.dim_size(1);
    const auto *left = read<bfloat16>(context, 0), *right = read<bfloat16>(context, 1);
    float* weight = made<float>(context, 0, TensorShape({inner, columns}));
    float* bias = made<float>(context, 1, TensorShape({columns}));
    if (!context->status().ok()) return;
    std::fill(bias, bias + columns, 0.0f);
    if (rows == 0) std::fill(weight, weight + inner * columns, 0.0f);
    std::vector<uint32_t> rights(panels(columns) * pairs(std::min(rows, kInner)) * kPanel);
    for (int64_t first = 0; first < rows; first += kInner) {
      const int64_t taken = std::min(kInner, rows - first), count = pairs(taken);
      in_parallel(context, panels(columns), 4 * taken * kPanel, [&](int64_t panel) {
        const int64_t column = panel * kPanel, own = std::min<int64_t>(kPanel, columns - column);
        uint32_t* to = &rights[panel * count * kPanel];
        pack_rows(right + first * columns + column, columns, taken, own, kPanel, to);
        add_pairs(to, count, own, bias + column);
      });
      const Sums sums{nullptr, weight, nullptr, first > 0, columns};
      in_parallel(context, (inner + kTurned - 1) / kTurned, kTurned * taken * columns / 32, [&](int64_t block) {
        const int64_t begin = block * kTurned, own = std::min(kTurned, inner - begin);
        std::vector<uint32_t> lefts(count * kTurned);
        pack_rows(left + first * inner + begin, inner, taken, own, kTurned, lefts.data());
        for (int64_t panel = 0; panel < panels(columns); ++panel) {
          for (int64_t row = 0; row < own; row += kTile) {
            multiply_some(std::min<int64_t>(kTile, own - row), &lefts[row], 1, kTurned, &rights[panel * count * kPanel],
                          count, sums, begin + row, panel * kPanel, columns);
          }
        }
      });
    }
  }
};

}  // namespace kerasft

#endif
