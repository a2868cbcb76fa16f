// Where the code that is modelled begins and ends, as functions that callgrind can be told of
// (`scalio-eval calibrate`): what runs inside of those that begin a step is counted, by role and
// kind, and what runs inside of the seams is not.
#pragma once

#include "fabric/fabric.h"
#include "hardware/costs.h"

namespace scalio::hardware::counted {

// Resumes a coroutine; if `counts`, in a function of the step's kind and side.
void resume(Role role, StepKind kind, bool counts, void* coroutine);
void request(bool counts, fabric::Service& service, fabric::Peer& peer, std::uint64_t call,
             ByteView bytes);

template <class F>
__attribute__((noinline)) void seam(F& f) {
  f();
  asm volatile("" ::: "memory");
}
// What the model does itself in a step: not counted.
template <class F>
void outside(bool counts, F f) {
  if (counts) {
    seam(f);
  } else {
    f();
  }
}

}  // namespace scalio::hardware::counted
