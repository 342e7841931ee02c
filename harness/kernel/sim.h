/* SPDX-License-Identifier: Apache-2.0
 *
 * sim.h - the simulation as the parts of the kernel see it. The struct is the first block of the arena, so that
 * [sim, sim + arena_used) is everything the kernel ever writes: state.c copies that range and the firmware's segments.
 *
 * Files: sim.c (layout, bh_create), run.c (the lock-step loop, events, power), sense.c, given.c (faults on what the
 * controller is given), faults.c (shapes), frame_check.c, bend.c (faults on the truth), bus.c and what bus.h names,
 * bits.c (frame lengths), restbus.c, protect.c (counters and checksums),
 * field.c (numbers in payloads), row.c (trace), check.c (configuration), controller.c (calls of the firmware),
 * gbt.c, gbt_send.c, gbt_tp.c (a charger that speaks GB/T 27930), tester.c (the diagnostic tester),
 * soak.c (long runs), outside.c (inputs from outside, frames for a real bus),
 * group.c, parallel.c (strings in parallel),
 * guard.c (hang and crash), state.c (firmware memory, checkpoints).
 */
#ifndef BH_SIM_H
#define BH_SIM_H

#include "bus.h"
#include "faults.h"
#include "gbt.h"
#include "guard.h"
#include "internal.h"
#include "restbus.h"
#include "sense.h"
#include "state.h"
#include "tester.h"
#include "wire.h"

enum { BH_ERROR_TEXT = 384, BH_NVM_MAX = 1 << 20, BH_NVM_FLIPS = 8 };

/* The non-volatile memory between two power cycles. */
typedef struct bh_nvm {
    uint8_t *image; /* [capacity] */
    uint32_t capacity;
    uint32_t size; /* 0 = factory-new */
    int32_t n_flips;
    int32_t flip_at[BH_NVM_FLIPS]; /* byte offset, -1 = erase; applied at the next power-on */
    uint8_t flip_mask[BH_NVM_FLIPS];
    uint64_t written; /* fingerprint of the image as the controller wrote it */
    uint64_t read_ns; /* when a power-on handed it out */
    uint8_t damaged;  /* and it was another then */
} bh_nvm;

struct bh_sim {
    size_t arena_used; /* bytes from the start of this struct */
    bh_firmware firmware;
    bh_image image;
    bh_guard guard;

    uint64_t now_ns;
    uint64_t tick_ns;
    uint64_t tick; /* ticks done */
    double dt_s;
    uint64_t seed;
    fil_config boot; /* what fil_init gets; parameters belong to the caller */

    bh_plant *plant;
    const bh_truth *truth;
    bh_controls controls;
    bh_heard heard;
    bh_sense sense;
    bh_faults faults;
    bh_restbus restbus;
    bh_gbt gbt;
    bh_buses buses;
    bh_wire wire;
    bh_tester tester;

    bh_event *events; /* [max_events] */
    int32_t max_events;
    int32_t n_events;
    int32_t next_event;

    fil_outputs outputs;
    uint8_t *balancing; /* [n_cells] what outputs.balancing points to */
    int32_t n_balancing; /* bleed resistors on */
    double supply_min_v;
    uint8_t supply_on; /* BH_EVENT_POWER */
    uint8_t powered;
    double soc_counted; /* what a perfect count of the current it is given would be, wherever that leads to */
    bh_nvm nvm;

    bh_trace *trace; /* of the run under way, NULL outside */
    bh_soak *soak;   /* the same of a long one */
    uint64_t until_ns;
    int64_t frame_room; /* most frames that can end in one tick */

    int32_t failed; /* BH_FIRMWARE_*; stays until a checkpoint is loaded */
    uint64_t error_address;
    uint64_t rx_lost; /* frames fil_can_rx refused */
    char error[BH_ERROR_TEXT];
};

/* check.c: NULL, or what is wrong with a configuration (text in a thread-local buffer). */
const char *bh_check(const bh_config *config);

/* controller.c: the firmware as a device with a supply. They run inside bh_guard_run and return BH_OK or
 * BH_FIRMWARE_ERROR with the text in sim->error. */
int bh_controller_supply(bh_sim *sim); /* power on or off as the supply says */
void bh_controller_receive(bh_sim *sim, const fil_frame *frame);
int bh_controller_step(bh_sim *sim);
int bh_controller_send(bh_sim *sim); /* its frames onto the buses */

int bh_controller_fail(bh_sim *sim, const char *call, int result); /* the text of what a call returned */

/* run.c: one tick, guarded; why a run cannot begin, BH_BAD_CONFIG. */
int bh_run_tick(bh_sim *sim);
int bh_refuse_run(bh_sim *sim, const char *why);
/* run.c: the parts of a tick; between the first two the plant takes its step. The last two run guarded. */
void bh_tick_begin(bh_sim *sim); /* events, frames due, faults on the truth */
int bh_tick_given(bh_sim *sim);  /* at its end: supply, samples, frames that ended on the bus */
int bh_tick_end(bh_sim *sim);    /* firmware, its frames and outputs, trace row */
/* run.c: the current that the running controller is given flows for a time, if the reading is valid. */
void bh_count_charge(bh_sim *sim, double length_s);
/* The frame of a run: check and bind the trace, see whether it has room for a tick, sum it up. */
int bh_run_begin(bh_sim *sim, uint64_t until_ns, bh_trace *trace);
int bh_trace_full(const bh_sim *sim);
void bh_run_end(bh_sim *sim);

/* run.c: body with its errors and cuts noted in the simulation; returns BH_*. */
int bh_guarded(bh_sim *sim, int (*body)(void *sim));

/* row.c: the trace. */
void bh_record_frame(bh_trace *trace, const bh_slot *slot, uint64_t end_ns);
void bh_record_row(const bh_sim *sim, bh_trace *trace);
/* Take the rows since the last call into the extremes of the columns. */
void bh_record_extremes(bh_trace *trace);

#endif
