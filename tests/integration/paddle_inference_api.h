// The calls of paddle_inference_api.h that the C++ example makes, with the layout they have in libpaddle.so
// of the wheel of Paddle 2.6. The wheel ships the library without this header.

#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

namespace paddle {

class PaddlePassBuilder {
 public:
  void DeletePass(const std::string& name);
  void InsertPass(size_t index, const std::string& name);
  const std::vector<std::string>& AllPasses() const;

 private:
  std::vector<std::string> analysis_passes_, passes_;
};

class PassStrategy : public PaddlePassBuilder {
 public:
  virtual ~PassStrategy();
};

class AnalysisConfig {
 public:
  AnalysisConfig();
  AnalysisConfig(const AnalysisConfig&);
  ~AnalysisConfig();
  void SetModel(const std::string& folder);
  void SetModel(const std::string& program, const std::string& params);
  void DisableGlogInfo();
  void EnableMKLDNN();
  void SetMkldnnCacheCapacity(int shapes);
  void EnableMkldnnInt8(const std::unordered_set<std::string>& operators = {});
  void EnableMkldnnBfloat16();
  void EnableMemoryOptim(bool on = true);
  void SwitchIrOptim(int on = true);
  void SetCpuMathLibraryNumThreads(int threads);
  PassStrategy* pass_builder() const;

 private:
  alignas(64) char members_[1 << 16];  // more than they need
};

}  // namespace paddle

namespace paddle_infer {

using Config = paddle::AnalysisConfig;

class Tensor {
 public:
  void Reshape(const std::vector<int>& shape);
  std::vector<int> shape() const;
  template <typename T>
  void CopyFromCpu(const T* values);
  template <typename T>
  void CopyToCpu(T* values) const;
};

class Predictor {
 public:
  bool Run();
  std::vector<std::string> GetOutputNames();
  std::unique_ptr<Tensor> GetInputHandle(const std::string& name);
  std::unique_ptr<Tensor> GetOutputHandle(const std::string& name);
};

std::shared_ptr<Predictor> CreatePredictor(const Config& config);

}  // namespace paddle_infer
