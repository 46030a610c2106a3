// What the operations of TensorFlow are made with here: rows, their sums, inputs and outputs.
//
// Rows are worked through in stretches whose borders depend on the shape alone, and sums over rows are sums of the
// stretches' own in their order: results have the same bits whatever the number of threads.
#pragma once

#include <functional>
#include <memory>
#include <type_traits>
#include <vector>

#include "loops.h"
#include "tensorflow/core/framework/common_shape_fns.h"
#include "tensorflow/core/framework/op.h"
#include "tensorflow/core/framework/op_kernel.h"
#include "tensorflow/core/framework/shape_inference.h"

namespace kerasft {

using tensorflow::OpKernel;
using tensorflow::OpKernelConstruction;
using tensorflow::OpKernelContext;
using tensorflow::Tensor;
using tensorflow::TensorShape;
using tensorflow::shape_inference::InferenceContext;

constexpr int64_t kStretch = 16384;  // elements, about what a core's nearest memory holds

inline int64_t width_of(const Tensor& tensor) { return std::max<int64_t>(1, tensor.dim_size(tensor.dims() - 1)); }

struct Rows {
  int64_t count, width, each;  // each: of a stretch

  explicit Rows(const Tensor& tensor)
      : count(tensor.NumElements() / width_of(tensor)),
        width(width_of(tensor)),
        each(std::max<int64_t>(1, kStretch / width)) {}

  int64_t stretches() const { return (count + each - 1) / each; }

  // body(stretch, first row, row behind the last); cost: cycles an element
  void run(OpKernelContext* context, int cost, const std::function<void(int64_t, int64_t, int64_t)>& body) const {
    auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
    threads->ParallelFor(stretches(), cost * each * width, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) body(i, i * each, std::min(count, (i + 1) * each));
    });
  }
};

// Sums over rows: every stretch adds to a row of its own.
class RowSums {
 public:
  RowSums(const Rows& rows, int count) : rows_(rows), count_(count), parts_(rows.stretches() * count * rows.width) {}

  float* of(int64_t stretch, int which) { return &parts_[(stretch * count_ + which) * rows_.width]; }

  void total(int which, float* out) {
    std::fill(out, out + rows_.width, 0.0f);
    for (int64_t stretch = 0; stretch < rows_.stretches(); ++stretch) {
      const float* part = of(stretch, which);
      for (int64_t i = 0; i < rows_.width; ++i) out[i] += part[i];
    }
  }

 private:
  const Rows rows_;
  const int count_;
  std::vector<float> parts_;
};

template <typename T>
struct Stored {  // how a type of TensorFlow lies in memory
  using Type = T;
};

template <>
struct Stored<tensorflow::bfloat16> {
  using Type = Bfloat16;
};

template <typename T>
const typename Stored<T>::Type* read(OpKernelContext* context, int index) {
  return reinterpret_cast<const typename Stored<T>::Type*>(context->input(index).flat<T>().data());
}

template <typename T>
typename Stored<T>::Type* made(OpKernelContext* context, int index, const TensorShape& shape) {
  Tensor* tensor = nullptr;
  const absl::Status status = context->allocate_output(index, shape, &tensor);
  if (!status.ok()) context->CtxFailure(status);
  return status.ok() ? reinterpret_cast<typename Stored<T>::Type*>(tensor->flat<T>().data()) : nullptr;
}

inline TensorShape without_last(TensorShape shape) {
  shape.RemoveLastDims(1);
  return shape;
}

class Kernel : public OpKernel {
 public:
  using OpKernel::OpKernel;

  void Compute(OpKernelContext* context) final {
    OP_REQUIRES(context, context->input(0).dims() > 0, tensorflow::errors::InvalidArgument("a scalar has no rows"));
    compute(context, Rows(context->input(0)), context->input(0).shape());
  }

 protected:
  virtual void compute(OpKernelContext* context, const Rows& rows, const TensorShape& shape) = 0;
};

class Dropping : public Kernel {
 public:
  explicit Dropping(OpKernelConstruction* context) : Kernel(context) {
    OP_REQUIRES_OK(context, context->GetAttr("dropped", &dropped_));
    OP_REQUIRES(context, 0 <= dropped_ && dropped_ < 256,
                tensorflow::errors::InvalidArgument("dropped: ", dropped_, " of 256 bytes"));
  }

 protected:
  Draws draws(OpKernelContext* context, int index) const {
    const auto seed = context->input(index).flat<int32_t>();
    return Draws(Seed{static_cast<uint32_t>(seed(0)), static_cast<uint32_t>(seed(1))}, dropped_);
  }

  int dropped_ = 0;
};

}  // namespace kerasft
