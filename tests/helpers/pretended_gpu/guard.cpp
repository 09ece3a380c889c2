// Register a CUDA device with a CPU-only torch, which autograd, autocast and DDP look for as soon as a tensor
// says "cuda". The device does nothing: tests/helpers/pretended_gpu/dispatch.py computes on the CPU.
#include <ATen/CPUGeneratorImpl.h>
#include <ATen/detail/CUDAHooksInterface.h>
#include <c10/core/impl/FakeGuardImpl.h>
#include <torch/csrc/distributed/c10d/reducer_timer.hpp>

namespace {
constexpr c10::DeviceIndex DEVICES = 8;

using Guard = c10::impl::FakeGuardImpl<c10::DeviceType::CUDA>;
C10_REGISTER_GUARD_IMPL(CUDA, Guard)

struct Generator : at::CPUGeneratorImpl {
  Generator(c10::DeviceIndex index) { device_ = c10::Device(c10::kCUDA, index < 0 ? 0 : index); }
};

struct Hooks : at::CUDAHooksInterface {
  Hooks(at::CUDAHooksArgs) {}
  void init() const override {}
  bool hasCUDA() const override { return true; }
  bool isBuilt() const override { return true; }
  bool isAvailable() const override { return true; }
  bool hasPrimaryContext(c10::DeviceIndex) const override { return true; }
  c10::DeviceIndex deviceCount() const override { return DEVICES; }
  int getNumGPUs() const override { return DEVICES; }
  c10::DeviceIndex current_device() const override { return Guard::getDeviceIndex(); }
  c10::DeviceIndex getCurrentDevice() const override { return Guard::getDeviceIndex(); }
  void setCurrentDevice(c10::DeviceIndex index) const override { Guard::setDeviceIndex(index); }
  c10::DeviceIndex exchangeDevice(c10::DeviceIndex index) const override {
    auto before = Guard::getDeviceIndex();
    Guard::setDeviceIndex(index);
    return before;
  }
  c10::DeviceIndex maybeExchangeDevice(c10::DeviceIndex index) const override { return exchangeDevice(index); }
  c10::Allocator* getPinnedMemoryAllocator() const override { return c10::GetAllocator(c10::kCPU); }
  at::Generator getNewGenerator(c10::DeviceIndex index) const override {
    return at::make_generator<Generator>(index);
  }
  const at::Generator& getDefaultGenerator(c10::DeviceIndex) const override {
    static at::Generator generator = at::make_generator<Generator>(0);
    return generator;
  }
  void deviceSynchronize(c10::DeviceIndex) const override {}
};
}  // namespace

namespace at {
using PretendedHooks = Hooks;
C10_REGISTER_TYPED_CLASS(CUDAHooksRegistry, "CUDAHooks", PretendedHooks)
}  // namespace at

namespace c10d {
namespace {
struct PretendedTimer : Timer {
  explicit PretendedTimer(c10::Device) {}
  void record(Event) override {}
  std::optional<int64_t> measureDifference(Event, Event) override { return 0; }
};
C10_REGISTER_TYPED_CLASS(TimerRegistry, c10::kCUDA, PretendedTimer)
}  // namespace
}  // namespace c10d
