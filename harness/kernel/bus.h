/* SPDX-License-Identifier: Apache-2.0
 *
 * bus.h - virtual CAN buses: frames wait, the lowest identifier wins, a frame takes its bit time, an attempt that fails
 * ends in an error frame and is repeated.
 *
 * Files: bus.c (waiting, arbitration, time), attempt.c (attempts that may fail), confine.c (error counters and states
 * of the nodes), wire.c (faults planned on frames), foreign.c (nodes that do not belong there).
 */
#ifndef BH_BUS_H
#define BH_BUS_H

#include "bits.h"
#include "internal.h"
#include "outside.h"

enum { BH_MAX_PEERS = 7 };

enum { BH_MAX_BUSES = 4, BH_BUS_SLOTS = 512, BH_LOAD_WINDOW_US = 100000, BH_MAX_LOAD_SLOTS = 100 };

/* One frame between sending and its end on the wire. */
typedef struct bh_slot {
    fil_frame frame; /* its flags carry BH_FRAME_* marks, too */
    uint8_t node;
    int16_t source; /* the fault that sends it again and again, -1 = none */
} bh_slot;

/* An entry of a heap: the lowest key is next, among equal keys the lowest order. */
typedef struct bh_waiting {
    uint64_t key; /* arbitration key, or time of release */
    uint32_t order;
    uint32_t slot;
} bh_waiting;

typedef struct bh_heap {
    bh_waiting *entries; /* [BH_BUS_SLOTS] */
    int32_t n;
} bh_heap;

/* The CAN controller of one node. */
typedef struct bh_can_node {
    uint16_t tec;
    uint16_t rec;
    uint8_t state;         /* BH_ERROR_ACTIVE ... */
    uint8_t recovering;
    uint8_t left;          /* times 11 recessive bits it still has to see */
    uint64_t recessive_ns; /* the bus is recessive since, as far as it counts them */
    uint64_t silent_ns;    /* begins no frame before (suspended transmission of an error passive sender) */
    uint64_t since_ns;     /* last change of state */
} bh_can_node;

typedef struct bh_bus {
    bh_slot *slots; /* [BH_BUS_SLOTS] */
    uint16_t *free; /* stack of unused slots */
    int32_t n_free;
    bh_heap ready;    /* released, by arbitration key */
    bh_heap later;    /* to be released, by time */
    uint32_t order;   /* counts queued frames */
    int32_t current;  /* slot on the wire, -1 = none */
    int32_t ended;    /* slot handed out by bh_bus_next, -1 = none */
    uint64_t end_ns;  /* end of the current frame, or of the error frame that destroys it */
    uint64_t idle_ns; /* from here on the next frame may start */
    /* the attempt on the wire */
    uint8_t troubled;       /* it was looked at by attempt.c: its end is, too */
    uint8_t cause;          /* BH_CAUSE_*: why it will fail; 0 = it will not */
    uint32_t current_order; /* its place in the queue, kept when it is repeated */
    int32_t rival;          /* slot of another node that sends the same identifier at the same time, -1 = none */
    uint32_t rival_order;
    /* fault confinement */
    uint8_t disturbed; /* a counter is not 0, or a node not error active */
    bh_can_node node[BH_N_NODES];
    bh_slot report; /* the error frame handed out by bh_bus_next */
    /* load: time in use per tick, over a window of ticks */
    uint64_t used_ns;
    uint64_t window_ns;
    uint64_t per_tick_ns[BH_MAX_LOAD_SLOTS];
    int32_t load_at;
} bh_bus;

typedef struct bh_wire bh_wire;

typedef struct bh_buses bh_buses;

struct bh_buses {
    bh_bit_tables *tables;
    bh_bus *bus; /* [n] */
    bh_wire *wire;
    int32_t n;
    int32_t n_load; /* ticks in the load window */
    uint64_t bitrate;
    uint64_t data_bitrate;
    uint64_t intermission_ns;
    double load_per_ns;
    uint8_t *dut_state; /* [n] what the firmware is told */
    uint8_t dut_on;     /* it has supply: it receives and acknowledges */
    uint8_t n_dut_off;  /* buses on which it is bus-off */
    uint8_t planned;    /* there are faults that wire.c looks after */
    bh_outlet outlet;   /* frames for a real bus */
    /* The same bus as the other strings of a group see it: whatever is queued on one is queued on all. */
    bh_buses *peers[BH_MAX_PEERS];
    int32_t n_peers;
};

void bh_bus_create(bh_arena *arena, bh_buses *buses, const bh_bus_config *config, uint32_t tick_us);

/* Frames that may be queued on every bus. */
int bh_bus_room(const bh_buses *buses);

/* Without what lies behind its length, up to 8 or 64 bytes. */
void bh_frame_copy(fil_frame *to, const fil_frame *from);

/* A node asks for a frame to be sent at a time: planned faults act on it, then bh_bus_put. Returns 0, or -1 when there
 * is no room. */
int bh_bus_queue(bh_buses *buses, const fil_frame *frame, uint8_t node, uint64_t release_ns);
/* Queue it as it is; bytes behind its length are cleared. A node that is bus-off sends nothing: then 0, too. */
int bh_bus_put(bh_buses *buses, const fil_frame *frame, uint8_t node, int16_t source, uint64_t release_ns);

/* Drop every frame of a node, on the wire too: it lost its supply. */
void bh_bus_drop_node(bh_buses *buses, uint8_t node, uint64_t now_ns);

/* The next frame or error frame that ends at or before until_ns, on any bus, or NULL. Valid until the next call. */
const bh_slot *bh_bus_next(bh_buses *buses, uint64_t until_ns, uint64_t *end_ns);

/* Whether the controller of the DUT is on the bus. */
static inline int bh_bus_dut_hears(const bh_buses *buses, uint8_t bus) {
    return buses->n_dut_off == 0 || buses->dut_state[bus] != BH_BUS_OFF;
}

/* Close the tick: bring load and recoveries up to date. */
void bh_bus_tick(bh_buses *buses, uint64_t now_ns);
double bh_bus_load(const bh_buses *buses);
double bh_bus_load_at(const bh_buses *buses, int32_t bus);

/* ---- between the files of the bus ---------------------------------------------------------------------------- */

uint64_t bh_bits_ns(const bh_buses *buses, uint64_t bits); /* nominal bit times */
uint64_t bh_frame_ns(const bh_buses *buses, const fil_frame *frame);

void bh_bus_push_ready(bh_bus *bus, uint32_t slot, uint32_t order);
/* Take entry at of the ready frames out. */
bh_waiting bh_bus_take_ready(bh_bus *bus, int32_t at);
void bh_bus_release(bh_buses *buses, bh_bus *bus, uint32_t slot); /* the slot is free again */
/* Drop what a node has waiting on one bus. */
void bh_bus_drop_waiting(bh_buses *buses, bh_bus *bus, uint8_t node);

/* attempt.c: look at the attempt that begins; returns how long it takes, the error frame included. */
uint64_t bh_attempt_begin(bh_buses *buses, bh_bus *bus, uint64_t at_ns);
/* Its end: counters move, a failed frame waits again. Returns what is to be recorded. */
const bh_slot *bh_attempt_end(bh_buses *buses, bh_bus *bus);

/* confine.c */
/* A frame got through; deaf = the node that did not receive it, -1 = all did. */
void bh_confine_sent(bh_buses *buses, bh_bus *bus, uint8_t sender, int32_t deaf, uint64_t t_ns);
void bh_confine_count(bh_buses *buses, bh_bus *bus, uint8_t node, int32_t transmit, int32_t receive, uint64_t t_ns);
/* Every other node that is there counts a receive error. */
void bh_confine_receivers(bh_buses *buses, bh_bus *bus, uint8_t sender, int32_t rival, uint64_t t_ns);
/* How many others could acknowledge, and whether one of them is error active. */
int bh_confine_listeners(const bh_buses *buses, const bh_bus *bus, uint8_t sender, int *active);
void bh_confine_frame_starts(bh_buses *buses, bh_bus *bus, uint64_t at_ns);
void bh_confine_frame_ended(bh_buses *buses, bh_bus *bus, uint64_t end_ns);
void bh_confine_tick(bh_buses *buses, bh_bus *bus, uint64_t now_ns);
/* Put the transmit error counter of a node to a value. */
void bh_confine_force(bh_buses *buses, bh_bus *bus, uint8_t node, uint16_t tec, uint64_t now_ns);
/* Start the recovery of a node that is bus-off; nothing otherwise. */
void bh_confine_restart(bh_buses *buses, bh_bus *bus, uint8_t node, uint64_t now_ns);
/* A node is switched on: its counters are 0. */
void bh_confine_reset(bh_buses *buses, uint8_t node, uint64_t now_ns);

#endif
