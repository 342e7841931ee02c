/* SPDX-License-Identifier: Apache-2.0
 *
 * guard.h - protects the harness from the firmware: a crash (SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT) or an endless
 * loop inside a fil_* call ends the guarded run with BH_FIRMWARE_CRASH or BH_FIRMWARE_HANG and the program counter,
 * and the process lives on. Linux on x86-64 and AArch64; elsewhere the calls pass through: a crash ends the process
 * and a hang must be seen from outside.
 *
 * Use (sim.c):
 *     static int run_ticks(void *context) { ... bh_guard_begin(g); rc = fw->step(in, out); bh_guard_end(g); ... }
 *     result = bh_guard_run(&sim->guard, &sim->image, run_ticks, sim);
 * When a call was cut short the body never returns: keep everything it changes in memory that outlives it (the
 * arena), hold no lock and no heap block across a firmware call. Several threads may run guarded bodies at once.
 */
#ifndef BH_GUARD_H
#define BH_GUARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "kernel.h"
#include "state.h"

/* One guarded run; lives as long as the simulation. Zero it once. */
typedef struct bh_guard {
    volatile uint64_t calls;  /* firmware calls begun: moves, so that a long run is not taken for a hang */
    volatile uint32_t inside; /* 1 = the thread is in a firmware call */
    uint32_t stalled;         /* timer periods without a new call */
    uint64_t seen_calls;
    const bh_image *image;
    void *jump;               /* where a cut call goes on */
    /* why the last run was cut: */
    uint64_t address;       /* program counter in the firmware, relative to its load address; 0 = unknown */
    uint64_t fault_address; /* of the bad memory access */
    int32_t signal;         /* 0 = none */
} bh_guard;

/* Run body(context) guarded. Returns what body returns, BH_FIRMWARE_CRASH or BH_FIRMWARE_HANG. Firmware calls outside
 * of bh_guard_begin/bh_guard_end are not guarded. A hang is cut after 1.0 to 1.25 s of CPU time of this thread without
 * a new call; time spent blocked in the operating system does not count. */
int bh_guard_run(bh_guard *guard, const bh_image *image, int (*body)(void *context), void *context);

/* Inside a guarded run: from here on the calls are those of another simulation, with its own guard and firmware. A cut
 * ends the whole run. */
void bh_guard_switch(bh_guard *guard, const bh_image *image);

/* Around every firmware call, a few ns. */
static inline void bh_guard_begin(bh_guard *guard) {
    guard->calls++;
    guard->inside = 1;
    atomic_signal_fence(memory_order_seq_cst);
}

static inline void bh_guard_end(bh_guard *guard) {
    atomic_signal_fence(memory_order_seq_cst);
    guard->inside = 0;
}

/* What happened, for people: "segmentation fault (address 0x10) inside the firmware". Never NULL. */
const char *bh_guard_text(const bh_guard *guard, int result, char *buffer, size_t size);

#endif
