/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.h - faults on frames: what is bent when a frame is asked for, what happens to attempts to send it, and nodes
 * that do not belong on the bus.
 */
#ifndef BH_WIRE_H
#define BH_WIRE_H

#include "bus.h"
#include "faults.h"

enum { BH_PAST_FRAMES = 256 };

/* What a fault on frames keeps. */
typedef struct bh_wire_memory {
    uint64_t next_ns; /* foreign: when it sends next */
    fil_frame frame;  /* reorder: held; foreign sender: last seen with its identifier */
    uint8_t node;     /* of the held frame */
    uint8_t filled;   /* frame is there */
    uint8_t pending;  /* foreign: its frame waits or is on the wire */
} bh_wire_memory;

/* A frame that a replay may want. */
typedef struct bh_past {
    uint64_t ns;
    uint32_t id;
    uint8_t flags;
    uint8_t bus;
    uint8_t length;
    uint8_t data[64];
} bh_past;

struct bh_wire {
    bh_faults *faults;
    bh_wire_memory *memory; /* [max] by fault */
    bh_past *past;          /* [BH_PAST_FRAMES] ring */
    uint32_t n_past;        /* ever kept */
    uint8_t filtered;       /* a replay is planned */
    int32_t n;              /* faults planned that this file looks after */
    int32_t n_bending;      /* of these: on frames as they are asked for */
    int32_t n_attempts;     /* on attempts */
    int32_t n_sources;      /* nodes that send by themselves */
};

/* What becomes of an attempt: BH_CAUSE_*, 0 = nothing; bit counts from 1. */
typedef struct bh_attempt {
    uint8_t cause;
    uint32_t bit;
} bh_attempt;

void bh_wire_create(bh_arena *arena, bh_wire *wire, bh_faults *faults, const bh_config *config);
/* The table of faults was replaced: what was held goes out, everything begins anew. */
void bh_wire_plan(bh_wire *wire, bh_buses *buses, uint64_t now_ns);
/* At the start of a tick: forced error counters, frames held by faults that are over. */
void bh_wire_tick(bh_wire *wire, bh_buses *buses, uint64_t now_ns);

/* A node lost its supply: what is held of it is gone. */
void bh_wire_drop_held(bh_wire *wire, uint8_t node);

int bh_wire_queue(bh_buses *buses, const fil_frame *frame, uint8_t node, uint64_t at_ns);
/* last_bit: of the CRC. receiver_state: BH_ERROR_ACTIVE ..., BH_BUS_OFF = not there. */
bh_attempt bh_wire_attempt(bh_buses *buses, const bh_slot *slot, uint64_t at_ns, uint32_t last_bit,
                           uint8_t receiver_state);

/* Whether a fault is meant for a frame of this sender. */
int bh_wire_matches(const bh_fault *fault, const fil_frame *frame, uint8_t node);

/* foreign.c: let nodes that send by themselves have their next frame waiting, when it is due before until_ns. */
void bh_foreign_supply(bh_buses *buses, bh_bus *bus, uint64_t until_ns);
/* A frame of theirs is gone. */
void bh_foreign_sent(bh_wire *wire, int32_t fault);
/* A frame was seen that a foreign sender imitates; at once, when it sends together with the real one. */
void bh_foreign_see(bh_buses *buses, int32_t fault, const fil_frame *frame, uint64_t at_ns);

#endif
