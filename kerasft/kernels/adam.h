// Adam with decoupled decay of the weights (Loshchilov and Hutter 2019, arXiv:1711.05101), all of it in one pass.
#pragma once

#include "rows.h"
#include "tensorflow/core/framework/resource_mgr.h"
#include "tensorflow/core/framework/resource_var.h"

namespace kerasft {

struct AdamRates {
  float scale;  // of the gradient, where it is clipped
  float rate;   // with the correction for young moments
  float kept;   // of a weight, after decay
  float rest1, rest2, epsilon;  // 1 - beta
};

inline void adam(const float* __restrict gradient, float* __restrict weight, float* __restrict first,
                 float* __restrict second, const AdamRates& rates, int64_t count) {
  for (int64_t i = 0; i < count; ++i) {
    const float g = gradient[i] * rates.scale;
    const float m = first[i] + (g - first[i]) * rates.rest1, v = second[i] + (g * g - second[i]) * rates.rest2;
    first[i] = m;
    second[i] = v;
    weight[i] = weight[i] * rates.kept - m * rates.rate / (std::sqrt(v) + rates.epsilon);
  }
}

class Adam : public OpKernel {  // weight, moments: variables; gradient; scale, rate, kept: numbers
 public:
  explicit Adam(OpKernelConstruction* context) : OpKernel(context) {
    float beta1, beta2;
    OP_REQUIRES_OK(context, context->GetAttr("beta1", &beta1));
    OP_REQUIRES_OK(context, context->GetAttr("beta2", &beta2));
    OP_REQUIRES_OK(context, context->GetAttr("epsilon", &rates_.epsilon));
    rates_.rest1 = 1 - beta1;
    rates_.rest2 = 1 - beta2;
  }

  void Compute(OpKernelContext* context) override {
    const Tensor& gradient = context->input(3);
    tensorflow::core::RefCountPtr<tensorflow::Var> variables[3];
    for (int i = 0; i < 3; ++i) {
      OP_REQUIRES_OK(context, tensorflow::LookupResource(context, tensorflow::HandleFromInput(context, i), &variables[i]));
    }
    const tensorflow::Var *one = variables[0].get(), *other = variables[1].get(), *third = variables[2].get();
    OP_REQUIRES(context, one != other && one != third && other != third,  // each is locked below
                tensorflow::errors::InvalidArgument("a weight and its moments are three variables"));
    tensorflow::mutex_lock weight(*variables[0]->mu()), first(*variables[1]->mu()), second(*variables[2]->mu());
    float* values[3];
    for (int i = 0; i < 3; ++i) {
      Tensor* tensor = variables[i]->tensor();
      OP_REQUIRES(context, tensor->shape() == gradient.shape() && tensor->dtype() == tensorflow::DT_FLOAT,
                  tensorflow::errors::InvalidArgument("a gradient of ", gradient.shape().DebugString(), " for ",
                                                      tensor->shape().DebugString()));
      OP_REQUIRES_OK(context, own(context, tensor));
      values[i] = tensor->flat<float>().data();
    }
    AdamRates rates = rates_;
    rates.scale = number(context, 4);
    rates.rate = number(context, 5);
    rates.kept = number(context, 6);
    const float* from = gradient.flat<float>().data();
    const int64_t count = gradient.NumElements();
    auto* threads = context->device()->tensorflow_cpu_worker_threads()->workers;
    threads->ParallelFor((count + kStretch - 1) / kStretch, 8 * kStretch, [&](int64_t begin, int64_t end) {
      const int64_t first = begin * kStretch, taken = std::min(count, end * kStretch) - first;
      adam(from + first, values[0] + first, values[1] + first, values[2] + first, rates, taken);
    });
  }

 private:
  static float number(OpKernelContext* context, int index) { return context->input(index).scalar<float>()(); }

  // What was read of a variable keeps its values: it shares memory with the variable until that changes.
  static absl::Status own(OpKernelContext* context, Tensor* tensor) {
    if (tensor->RefCountIsOne()) return absl::OkStatus();
    Tensor copy;
    TF_RETURN_IF_ERROR(context->allocate_temp(tensor->dtype(), tensor->shape(), &copy));
    std::memcpy(copy.flat<float>().data(), tensor->flat<float>().data(), tensor->NumElements() * sizeof(float));
    *tensor = copy;
    return absl::OkStatus();
  }

  AdamRates rates_{};
};

}  // namespace kerasft
