// One warp of CUDA on the host: 32 fibers that take turns at each collective operation.
//
// Included before a kernel's source, which then compiles as C++. A collective operation that not all lanes of the warp
// reach together, undefined on a device, ends the program here. With WATCHED defined, `race` tells of a lane that touched
// shared memory that another had written, or wrote what another had read, with no __syncwarp between.

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ucontext.h>

#include <algorithm>

#define __global__
#define __device__
#define __constant__
#define __forceinline__ inline
#define __shared__
#ifdef WATCHED
#define SHARED(type) emulator::Watched<type>
#endif
using std::max;
using std::min;

struct Index { unsigned x; };
static Index threadIdx, blockIdx, blockDim = {32};
alignas(16) double memory[1 << 18];

extern "C" {
const char *race = "";  // the last that was seen
}

namespace emulator {
const int LANES = 32;
static ucontext_t fibers[LANES], host;
static char stacks[LANES][1 << 18];
static int lane;
static bool finished[LANES];
static long arrived[LANES];
static double exchanged[LANES];
static long waits[LANES];  // of memory: of all collective operations only a wait makes what lanes wrote seen by others

static void fail() {
    fprintf(stderr, "lanes diverge at a collective operation\n");
    abort();
}

// An element of shared memory that says when a lane touches what another has, with no wait between, where one of the two
// writes. All bytes 0xff: nobody has.
template <typename T>
struct Watched {
    T value;
    int writer;
    mutable int reader;
    long written;
    mutable long read;

    operator T() const {
        if (written == waits[lane] && writer != lane) race = "a lane reads what another writes";
        reader = read == waits[lane] && reader != lane ? LANES : lane;
        read = waits[lane];
        return value;
    }
    Watched &operator=(T given) {
        if (written == waits[lane] && writer != lane) race = "two lanes write the same";
        if (read == waits[lane] && reader != lane) race = "a lane writes what another reads";
        value = given, writer = lane, written = waits[lane];
        return *this;
    }
};

static void next() {
    const int from = lane;
    lane = (lane + 1) % LANES;
    threadIdx.x = lane;
    if (finished[lane]) fail();
    swapcontext(&fibers[from], &fibers[lane]);
}

static void meet(int kind) {  // all lanes arrive at the same kinds of operations
    arrived[lane] = arrived[lane] * 31 + kind;
    next();
    if (lane + 1 < LANES && arrived[lane] != arrived[lane + 1]) fail();  // the next has yet to go on
}

static double exchange(double value, int from, int kind) {
    exchanged[lane] = value;
    meet(kind);
    const double other = exchanged[from];
    meet(kind);
    return other;
}

template <typename Body>
static void enter(unsigned high, unsigned low) {
    const Body *body = reinterpret_cast<const Body *>(((unsigned long)high << 32) | low);
    (*body)();
    finished[lane] = true;
    if (lane + 1 == LANES) setcontext(&host);
    next();
}

template <typename Body>
static void run(const Body &body) {
    const unsigned long at = reinterpret_cast<unsigned long>(&body);
    memset(memory, 0xff, sizeof memory);  // shared memory begins as anything: NaN shows
    for (int n = 0; n < LANES; n++) {
        getcontext(&fibers[n]);
        fibers[n].uc_stack.ss_sp = stacks[n];
        fibers[n].uc_stack.ss_size = sizeof stacks[n];
        fibers[n].uc_link = &host;
        arrived[n] = 0, waits[n] = 0, finished[n] = false;
        makecontext(&fibers[n], (void (*)())enter<Body>, 2, (unsigned)(at >> 32), (unsigned)at);
    }
    lane = 0, threadIdx.x = 0;
    swapcontext(&host, &fibers[0]);
}
}  // namespace emulator

static inline void __syncwarp() {
    emulator::meet(1);
    emulator::waits[emulator::lane]++;
}

template <typename T>
static T __shfl_xor_sync(unsigned, T value, int far) {
    return (T)emulator::exchange((double)value, emulator::lane ^ far, 2);
}

static inline int __any_sync(unsigned, int value) {
    int any = 0;
    emulator::exchanged[emulator::lane] = value;
    emulator::meet(3);
    for (int n = 0; n < emulator::LANES; n++) any |= emulator::exchanged[n] != 0;
    emulator::meet(3);
    return any;
}

static inline unsigned __ballot_sync(unsigned, int value) {
    unsigned all = 0;
    emulator::exchanged[emulator::lane] = value;
    emulator::meet(4);
    for (int n = 0; n < emulator::LANES; n++) all |= (unsigned)(emulator::exchanged[n] != 0) << n;
    emulator::meet(4);
    return all;
}
