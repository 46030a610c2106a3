// Dropout, and layer normalisation with what stands before it.
#pragma once

#include "rows.h"

namespace kerasft {

class Dropout : public Dropping {
 public:
  using Dropping::Dropping;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float* x = read<float>(context, 0);
    float* y = made<float>(context, 0, shape);
    if (y == nullptr) return;
    const Draws law = draws(context, 1);
    rows.run(context, 2, [&](int64_t, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t first = begin * rows.width, count = (end - begin) * rows.width;
      bring(x + first, y + first, count);
      drop(y + first, draws.of(first, count), draws, count);
    });
  }
};

class Norm : public Kernel {
 public:
  explicit Norm(OpKernelConstruction* context) : Kernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
  }

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float *x = read<float>(context, 0), *gamma = read<float>(context, 1), *beta = read<float>(context, 2);
    float* y = made<float>(context, 0, shape);
    float *mean = made<float>(context, 1, without_last(shape)), *inverse = made<float>(context, 2, without_last(shape));
    if (!context->status().ok()) return;
    rows.run(context, 3, [&](int64_t, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * rows.width;
        normalize(x + at, gamma, beta, epsilon_, y + at, mean + row, inverse + row, rows.width);
      }
    });
  }

 private:
  float epsilon_ = 0;
};

class NormGrad : public Kernel {
 public:
  using Kernel::Kernel;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float *dy = read<float>(context, 0), *x = read<float>(context, 1), *gamma = read<float>(context, 2);
    const float *mean = read<float>(context, 3), *inverse = read<float>(context, 4);
    const TensorShape across({rows.width});
    float* dx = made<float>(context, 0, shape);
    float *dgamma = made<float>(context, 1, across), *dbeta = made<float>(context, 2, across);
    if (!context->status().ok()) return;
    RowSums sums(rows, 2);
    rows.run(context, 5, [&](int64_t stretch, int64_t begin, int64_t end) {
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * rows.width;
        normalize_back(dy + at, x + at, gamma, mean[row], inverse[row], dx + at, sums.of(stretch, 0),
                       sums.of(stretch, 1), rows.width);
      }
    });
    sums.total(0, dgamma);
    sums.total(1, dbeta);
  }
};

// y = norm(dropout(x + bias) + residual), in float32 and, as what a matrix product reads, in the type of x.
template <typename T>
class ResidualNorm : public Dropping {
 public:
  explicit ResidualNorm(OpKernelConstruction* context) : Dropping(context) {
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &epsilon_));
  }

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const auto* x = read<T>(context, 0);
    const float *bias = read<float>(context, 1), *residual = read<float>(context, 2);
    const float *gamma = read<float>(context, 3), *beta = read<float>(context, 4);
    float *y = made<float>(context, 0, shape), *h = made<float>(context, 2, shape);
    auto* operand = twin(context, shape);
    float *mean = made<float>(context, 3, without_last(shape)), *inverse = made<float>(context, 4, without_last(shape));
    if (!context->status().ok()) return;
    const Draws law = draws(context, 5);
    rows.run(context, 4, [&](int64_t, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t width = rows.width;
      const uint8_t* drawn = draws.any() ? draws.of(begin * width, (end - begin) * width) : nullptr;
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(x + at, h + at, width);
        for (int64_t i = 0; i < width; ++i) h[at + i] += bias[i];
        if (drawn) drop(h + at, drawn + (row - begin) * width, draws, width);
        for (int64_t i = 0; i < width; ++i) h[at + i] += residual[at + i];
        normalize(h + at, gamma, beta, epsilon_, y + at, mean + row, inverse + row, width);
        if (operand) put(y + at, operand + at, width);
      }
    });
  }

 private:
  // Where y goes in another type; none for float32, whose second output is the first one.
  static typename Stored<T>::Type* twin(OpKernelContext* context, const TensorShape& shape) {
    if constexpr (!std::is_same_v<T, float>) return made<T>(context, 1, shape);
    if (context->status().ok()) context->set_output(1, *context->mutable_output(0));
    return nullptr;
  }

  float epsilon_ = 0;
};

template <typename T>
class ResidualNormGrad : public Dropping {
 public:
  using Dropping::Dropping;

 protected:
  void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) override {
    const float* dy = read<float>(context, 0);
    const auto* doperand = read<T>(context, 1);
    const float *h = read<float>(context, 2), *gamma = read<float>(context, 3);
    const float *mean = read<float>(context, 4), *inverse = read<float>(context, 5);
    const TensorShape across({rows.width});
    auto* dx = made<T>(context, 0, shape);
    float *dbias = made<float>(context, 1, across), *dresidual = made<float>(context, 2, shape);
    float *dgamma = made<float>(context, 3, across), *dbeta = made<float>(context, 4, across);
    if (!context->status().ok()) return;
    const Draws law = draws(context, 6);
    RowSums sums(rows, 3);
    rows.run(context, 6, [&](int64_t stretch, int64_t begin, int64_t end) {
      Draws draws = law;
      const int64_t width = rows.width;
      const uint8_t* drawn = draws.any() ? draws.of(begin * width, (end - begin) * width) : nullptr;
      std::vector<float> scratch(width);
      float *upstream = scratch.data(), *biases = sums.of(stretch, 2);
      for (int64_t row = begin; row < end; ++row) {
        const int64_t at = row * width;
        bring(doperand + at, upstream, width);
        for (int64_t i = 0; i < width; ++i) upstream[i] += dy[at + i];
        normalize_back(upstream, h + at, gamma, mean[row], inverse[row], dresidual + at, sums.of(stretch, 0),
                       sums.of(stretch, 1), width);
        bring(dresidual + at, upstream, width);
        if (drawn) drop(upstream, drawn + (row - begin) * width, draws, width);
        for (int64_t i = 0; i < width; ++i) biases[i] += upstream[i];
        put(upstream, dx + at, width);
      }
    });
    sums.total(0, dgamma);
    sums.total(1, dbeta);
    sums.total(2, dbias);
  }
};

}  // namespace kerasft
