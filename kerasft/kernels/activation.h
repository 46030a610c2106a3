// Activations of a dense layer, with its bias.
#pragma once

#include "rows.h"

namespace kerasft {

template <typename T, typename Kind>
class Activation : public Kernel {  // y = f(x + bias), and its slope
 public:
  using Kernel::Kernel;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto* x = read<T>(context, 0);
    const float* bias = read<float>(context, 1);
    auto *y = made<T>(context, 0, shape), *slope = made<T>(context, 1, shape);
    if (!context->status().ok()) return;
    rows.run(context, 4, [&](int64_t, int64_t begin, int64_t end) {
      const int64_t width = rows.width;
      std::vector<float> in(width), out(width), slopes(width);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(x + at, in.data(), width);
        activate<Kind>(in.data(), bias, out.data(), slopes.data(), width);
        put(out.data(), y + at, width);
        put(slopes.data(), slope + at, width);
      }
    });
  }
};

template <typename T>
class ActivationGrad : public Kernel {  // of x, and its sum over rows, which is the bias' own
 public:
  using Kernel::Kernel;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto *dy = read<T>(context, 0), *slope = read<T>(context, 1);
    auto* dx = made<T>(context, 0, shape);
    float* dbias = made<float>(context, 1, TensorShape({rows.width}));
    if (!context->status().ok()) return;
    RowSums sums(rows, 1);
    rows.run(context, 2, [&](int64_t stretch, int64_t begin, int64_t end) {
      const int64_t width = rows.width;
      std::vector<float> gradient(width), slopes(width);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(dy + at, gradient.data(), width);
        bring(slope + at, slopes.data(), width);
        activate_back(gradient.data(), slopes.data(), sums.of(stretch, 0), width);
        put(gradient.data(), dx + at, width);
      }
    });
    sums.total(0, dbias);
  }
};

}  // namespace kerasft
