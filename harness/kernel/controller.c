/* SPDX-License-Identifier: Apache-2.0
 *
 * controller.c - the device under test: power on and off, step, frames in and out. Every fil_* call is guarded.
 */
#include <stdio.h>
#include <string.h>

#include "sim.h"

enum { TX_BATCH = 64, MAX_CLASSIC_ID = 0x7FF, MAX_EXTENDED_ID = 0x1FFFFFFF };

/* ---- errors -------------------------------------------------------------------------------------------------- */

int bh_controller_fail(bh_sim *sim, const char *call, int result) {
    bh_guard_begin(&sim->guard);
    const char *text = sim->firmware.last_error();
    snprintf(sim->error, sizeof sim->error, "%s returned %d: %.256s", call, result, text != NULL ? text : "");
    bh_guard_end(&sim->guard);
    return BH_FIRMWARE_ERROR;
}

/* ---- what a power cycle leaves ---------------------------------------------------------------------------------- */

static void clear_outputs(bh_sim *sim) {
    sim->outputs.contactors = 0;
    sim->outputs.digital_out = 0;
    sim->outputs.can_restart = 0;
    memset(sim->balancing, 0, (size_t)sim->sense.n_cells);
    sim->n_balancing = 0;
}

static void flip_nvm(bh_nvm *nvm) {
    for (int32_t i = 0; i < nvm->n_flips; i++) {
        if (nvm->flip_at[i] < 0) {
            nvm->size = 0;
        } else if ((uint32_t)nvm->flip_at[i] < nvm->size) {
            nvm->image[nvm->flip_at[i]] ^= nvm->flip_mask[i];
        }
    }
    nvm->n_flips = 0;
}

/* FNV-1a, 64 bit. */
static uint64_t fingerprint(const bh_nvm *nvm) {
    uint64_t hash = 14695981039346656037ULL;
    for (uint32_t i = 0; i < nvm->size; i++) {
        hash = (hash ^ nvm->image[i]) * 1099511628211ULL;
    }
    return hash;
}

/* ---- faults that show at a power-on ---------------------------------------------------------------------------- */

static int invert_byte(bh_nvm *nvm, double offset) {
    if (nvm->size == 0 || offset < 0.0 || offset >= nvm->size) {
        return 0;
    }
    nvm->image[(uint32_t)offset] ^= 0xFF;
    return 1;
}

/* Flash that was erased reads as ones; a controller that never had an image notices nothing. */
static int erase(bh_nvm *nvm) {
    memset(nvm->image, 0xFF, nvm->size);
    return nvm->size > 0;
}

static int count_from(fil_config *boot, double start_tick_ms) {
    const uint32_t before = boot->start_tick_ms;
    boot->start_tick_ms = (uint32_t)start_tick_ms;
    return boot->start_tick_ms != before;
}

/* Returns 1 when the controller starts with something else because of this fault. */
static int bend_boot(bh_sim *sim, fil_config *boot, const bh_fault *fault) {
    switch (fault->point) {
    case BH_AT_NVM_BYTE: return invert_byte(&sim->nvm, fault->value);
    case BH_AT_NVM_ERASED: return erase(&sim->nvm);
    case BH_AT_START_TICK_MS: return count_from(boot, fault->value);
    default: return 0;
    }
}

static void bend_boots(bh_sim *sim, fil_config *boot) {
    bh_faults *faults = &sim->faults;
    for (int32_t k = 0; k < faults->truth.n; k++) {
        const int32_t i = faults->truth.fault[k];
        if (faults->state[i].on && bend_boot(sim, boot, &faults->plan[i])) {
            bh_fault_fired(&faults->report[i], sim->now_ns);
        }
    }
}

/* A reset makes a difference while the controller would otherwise run. */
static void note_reset(bh_sim *sim) {
    bh_faults *faults = &sim->faults;
    for (int32_t k = 0; k < faults->truth.n; k++) {
        const int32_t i = faults->truth.fault[k];
        if (faults->state[i].on && faults->plan[i].point == BH_AT_RESET_S) {
            bh_fault_fired(&faults->report[i], sim->now_ns);
        }
    }
}

/* ---- power --------------------------------------------------------------------------------------------------- */

static int power_on(bh_sim *sim) {
    flip_nvm(&sim->nvm);
    if (sim->firmware.pristine != NULL) {
        bh_image_load(&sim->image, sim->firmware.pristine);
    }
    clear_outputs(sim);
    bh_frozen_begin(&sim->sense.frozen);
    fil_config boot = sim->boot;
    bend_boots(sim, &boot);
    sim->nvm.damaged = sim->nvm.size > 0 && fingerprint(&sim->nvm) != sim->nvm.written;
    sim->nvm.read_ns = sim->now_ns;
    boot.nvm = sim->nvm.size > 0 ? sim->nvm.image : NULL;
    boot.nvm_size = sim->nvm.size;
    bh_guard_begin(&sim->guard);
    const int result = sim->firmware.init(&boot);
    bh_guard_end(&sim->guard);
    sim->powered = result >= 0;
    sim->buses.dut_on = sim->powered;
    bh_confine_reset(&sim->buses, BH_NODE_DUT, sim->now_ns);
    return result < 0 ? bh_controller_fail(sim, "fil_init", result) : BH_OK;
}

/* What the firmware wrote to its non-volatile memory survives, everything else is gone. */
static int power_off(bh_sim *sim) {
    bh_guard_begin(&sim->guard);
    const int size = sim->firmware.nvm(FIL_NVM_READ, sim->nvm.image, sim->nvm.capacity);
    bh_guard_end(&sim->guard);
    if (size < 0 || (uint32_t)size > sim->nvm.capacity) {
        return bh_controller_fail(sim, "fil_nvm(FIL_NVM_READ)", size);
    }
    sim->nvm.size = (uint32_t)size;
    sim->nvm.written = fingerprint(&sim->nvm);
    sim->powered = 0;
    sim->buses.dut_on = 0;
    bh_confine_reset(&sim->buses, BH_NODE_DUT, sim->now_ns);
    clear_outputs(sim);
    bh_bus_drop_node(&sim->buses, BH_NODE_DUT, sim->now_ns);
    return BH_OK;
}

static double supply_v(const bh_sim *sim) {
    const bh_outside *outside = &sim->sense.outside;
    return (outside->given & BH_OUTSIDE_SUPPLY) != 0 ? outside->supply_mv * 1e-3 : sim->truth->supply_v;
}

int bh_controller_supply(bh_sim *sim) {
    const int supplied = sim->supply_on && supply_v(sim) >= sim->supply_min_v;
    if (supplied && sim->truth->reset) {
        note_reset(sim);
    }
    const int runs = supplied && !sim->truth->reset;
    if (runs == sim->powered) {
        return BH_OK;
    }
    return runs ? power_on(sim) : power_off(sim);
}

/* ---- running ------------------------------------------------------------------------------------------------- */

void bh_controller_receive(bh_sim *sim, const fil_frame *frame) {
    bh_guard_begin(&sim->guard);
    const int result = sim->firmware.can_rx(frame);
    bh_guard_end(&sim->guard);
    sim->rx_lost += result < 0; /* its receive queue is full: as on the real bus the frame is gone */
}

static int32_t count_set(const uint8_t *bits, int32_t n) {
    int32_t count = 0;
    for (int32_t i = 0; i < n; i++) {
        count += bits[i] != 0;
    }
    return count;
}

static void restart_buses(bh_sim *sim) {
    for (int32_t i = 0; i < sim->buses.n; i++) {
        if ((sim->outputs.can_restart >> i & 1) != 0) {
            bh_confine_restart(&sim->buses, &sim->buses.bus[i], BH_NODE_DUT, sim->now_ns);
        }
    }
}

int bh_controller_step(bh_sim *sim) {
    bh_guard_begin(&sim->guard);
    const int result = sim->firmware.step(&sim->sense.inputs, &sim->outputs);
    bh_guard_end(&sim->guard);
    sim->outputs.balancing = sim->balancing;
    sim->n_balancing = count_set(sim->balancing, sim->sense.n_cells);
    if (sim->outputs.can_restart != 0) {
        restart_buses(sim);
    }
    return result < 0 ? bh_controller_fail(sim, "fil_step", result) : BH_OK;
}

static int is_sound(const bh_sim *sim, const fil_frame *frame) {
    const uint32_t max_id = (frame->flags & FIL_FRAME_EXTENDED) != 0 ? MAX_EXTENDED_ID : MAX_CLASSIC_ID;
    const int fd = (frame->flags & FIL_FRAME_FD) != 0;
    return frame->id <= max_id && frame->bus < sim->buses.n && frame->length <= (fd ? 64 : 8) &&
           (frame->flags & FIL_FRAME_ERROR) == 0 && !(fd && (frame->flags & FIL_FRAME_REMOTE) != 0);
}

/* Takes no more than there is room for: the rest waits in the firmware's own queue, as before a full mailbox. */
int bh_controller_send(bh_sim *sim) {
    fil_frame frames[TX_BATCH];
    for (;;) {
        const int room = bh_bus_room(&sim->buses);
        const int max = room < TX_BATCH ? room : TX_BATCH;
        if (max == 0) {
            return BH_OK;
        }
        bh_guard_begin(&sim->guard);
        const int n = sim->firmware.can_tx(frames, max);
        bh_guard_end(&sim->guard);
        if (n < 0 || n > max) {
            return bh_controller_fail(sim, "fil_can_tx", n);
        }
        for (int i = 0; i < n; i++) {
            if (!is_sound(sim, &frames[i])) {
                snprintf(sim->error, sizeof sim->error,
                         "fil_can_tx: frame 0x%X is not one: bus %u, flags 0x%02X, %u bytes (identifiers up to 0x7FF, "
                         "extended 0x1FFFFFFF; up to 8 bytes, FD 64; %d buses)",
                         frames[i].id, frames[i].bus, frames[i].flags, frames[i].length, sim->buses.n);
                return BH_FIRMWARE_ERROR;
            }
            bh_bus_queue(&sim->buses, &frames[i], BH_NODE_DUT, sim->now_ns);
        }
        if (n < max) {
            return BH_OK;
        }
    }
}
