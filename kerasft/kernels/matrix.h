// Matrix products as kernels of TensorFlow; none where the processor has no use for them (products.h).
#pragma once

#include "products.h"

#ifdef KERASFT_PRODUCTS

#include "rows.h"

namespace kerasft {

using tensorflow::bfloat16;

constexpr int64_t kInner = 1024;  // rows of a gradient's operands at a time, so that a panel of them stays near

void in_parallel(OpKernelContext* context, int64_t count, int64_t cost, const std::function<void(int64_t)>& body) {
  auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
  threads->ParallelFor(count, cost, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i);
  });
}

const uint16_t* packed(OpKernelContext* context, int index) {
  return reinterpret_cast<const uint16_t*>(context->input(index).flat<bfloat16>().data());
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
    pack_weight(from, inner, columns, reinterpret_cast<uint16_t*>(forward), reinterpret_cast<uint16_t*>(back),
                [&](int64_t count, int64_t cost, const std::function<void(int64_t)>& body) {
                  in_parallel(context, count, cost, body);
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
    const auto* left = read<bfloat16>(context, 0);
    const uint16_t* right = packed(context, 1);
    const float* bias = biases ? read<float>(context, 2) : nullptr;
    auto* y = made<bfloat16>(context, 0, TensorShape({rows, columns_}));
    if (y == nullptr) return;
    in_parallel(context, (rows + kRows - 1) / kRows, kRows * inner * columns_ / 32, [&](int64_t block) {
      multiply_rows(left, inner, block * kRows, std::min(rows, (block + 1) * kRows), right, columns_, bias, y);
    });
  }

 private:
  int64_t columns_ = 0;
};

// The gradient of a weight, x (rows, inner) turned over by dy (rows, columns), summed over all x and dy, and of a bias,
// the sum of all rows of dy.
class ProductGrad : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) override {
    const int parts = context->num_inputs() / 2;
    const int64_t inner = context->input(0).dim_size(1), columns = context->input(parts).dim_size(1);
    std::vector<Stretch> all;
    for (int i = 0; i < parts; ++i) {
      const Tensor &x = context->input(i), &dy = context->input(parts + i);
      OP_REQUIRES(context, x.dims() == 2 && dy.dims() == 2 && x.dim_size(0) == dy.dim_size(0) &&
                               x.dim_size(1) == inner && dy.dim_size(1) == columns,
                  tensorflow::errors::InvalidArgument("operands are matrices of as many rows"));
      all.push_back({read<bfloat16>(context, i), read<bfloat16>(context, parts + i), x.dim_size(0)});
    }
    float* weight = made<float>(context, 0, TensorShape({inner, columns}));
    float* bias = made<float>(context, 1, TensorShape({columns}));
    if (!context->status().ok()) return;
    std::fill(bias, bias + columns, 0.0f);
    const auto groups = in_groups(all, inner, columns, kInner);
    if (groups.empty()) std::fill(weight, weight + inner * columns, 0.0f);
    for (const std::vector<Stretch>& group : groups) {
      Tensor room;
      const int64_t taken = inner_of(group);
      OP_REQUIRES_OK(context, context->allocate_temp(tensorflow::DT_UINT16, TensorShape({packed_size(taken, columns)}),
                                                     &room));
      uint16_t* rights = room.flat<uint16_t>().data();
      in_parallel(context, panels(columns), 4 * taken * kPanel, [&](int64_t panel) {
        pack_right(group, columns, panel, rights);
        const int64_t column = panel * kPanel, own = std::min<int64_t>(kPanel, columns - column);
        for (const Stretch& part : group) {
          for (int64_t row = 0; row < part.rows; ++row) add_row(part.right + row * columns + column, own, bias + column);
        }
      });
      in_parallel(context, (inner + kTurned - 1) / kTurned, kTurned * taken * columns / 32, [&](int64_t block) {
        const int64_t begin = block * kTurned, end = std::min(inner, begin + kTurned);
        multiply_turned(group, inner, begin, end, rights, columns, &group != &groups.front(), weight);
      });
    }
  }

 private:
  static void add_row(const Bfloat16* row, int64_t count, float* sum) {
    float wide[kPanel];
    bring(row, wide, count);
    for (int64_t i = 0; i < count; ++i) sum[i] += wide[i];
  }
};

}  // namespace kerasft

#endif
