/* SPDX-License-Identifier: Apache-2.0
 *
 * bus.h - virtual CAN buses: frames wait, the lowest identifier wins, a frame takes its bit time. No errors on the wire.
 */
#ifndef BH_BUS_H
#define BH_BUS_H

#include "bits.h"
#include "internal.h"

enum { BH_MAX_BUSES = 4, BH_BUS_SLOTS = 512, BH_LOAD_WINDOW_US = 100000, BH_MAX_LOAD_SLOTS = 100 };

/* One frame between sending and its end on the wire. */
typedef struct bh_slot {
    fil_frame frame;
    uint8_t node;
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

typedef struct bh_bus {
    bh_slot *slots; /* [BH_BUS_SLOTS] */
    uint16_t *free; /* stack of unused slots */
    int32_t n_free;
    bh_heap ready;    /* released, by arbitration key */
    bh_heap later;    /* to be released, by time */
    uint32_t order;   /* counts queued frames */
    int32_t current;  /* slot on the wire, -1 = none */
    int32_t ended;    /* slot handed out by bh_bus_next, -1 = none */
    uint64_t end_ns;  /* end of the current frame */
    uint64_t idle_ns; /* from here on the next frame may start */
    /* load: time in use per tick, over a window of ticks */
    uint64_t used_ns;
    uint64_t window_ns;
    uint64_t per_tick_ns[BH_MAX_LOAD_SLOTS];
    int32_t load_at;
} bh_bus;

typedef struct bh_buses {
    bh_bit_tables *tables;
    bh_bus *bus; /* [n] */
    int32_t n;
    int32_t n_load; /* ticks in the load window */
    uint64_t bitrate;
    uint64_t data_bitrate;
    uint64_t intermission_ns;
    double load_per_ns;
} bh_buses;

void bh_bus_create(bh_arena *arena, bh_buses *buses, const bh_bus_config *config, uint32_t tick_us);

/* Frames that may be queued on every bus. */
int bh_bus_room(const bh_buses *buses);

/* Queue a frame for a time; bytes behind its length are cleared. Returns 0, or -1 when there is no room. */
int bh_bus_queue(bh_buses *buses, const fil_frame *frame, uint8_t node, uint64_t release_ns);

/* Drop every frame of a node, on the wire too: it lost its supply. */
void bh_bus_drop_node(bh_buses *buses, uint8_t node, uint64_t now_ns);

/* The next frame that ends at or before until_ns, on any bus, or NULL. Valid until the next call. */
const bh_slot *bh_bus_next(bh_buses *buses, uint64_t until_ns, uint64_t *end_ns);

/* Close the tick: bring the load up to date. */
void bh_bus_tick(bh_buses *buses, uint64_t now_ns);
double bh_bus_load(const bh_buses *buses);

#endif
