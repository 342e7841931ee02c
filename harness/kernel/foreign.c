/* SPDX-License-Identifier: Apache-2.0
 *
 * foreign.c - nodes that do not belong on the bus: a babbling one, and one that sends the identifier of another.
 *
 * Each has one mailbox: its next frame is asked for when the last one is gone.
 */
#include <math.h>
#include <string.h>

#include "wire.h"

#define NS_PER_S 1e9

static void invert(fil_frame *frame, uint64_t mask) {
    for (uint32_t i = 0; i < 8 && i < frame->length; i++) {
        frame->data[i] ^= (uint8_t)(mask >> 8 * i);
    }
}

/* The frame a fault sends now. */
static fil_frame forged(const bh_wire *wire, int32_t i) {
    const bh_fault *fault = &wire->faults->plan[i];
    fil_frame frame;
    if (fault->point == BH_AT_FOREIGN_SENDER && wire->memory[i].filled) {
        frame = wire->memory[i].frame;
    } else {
        memset(&frame, 0, sizeof frame);
        frame.id = fault->id;
        frame.flags = fault->id_flags & FIL_FRAME_EXTENDED;
        frame.bus = fault->bus;
        frame.length = fault->point == BH_AT_FOREIGN_BABBLE ? (uint8_t)fault->length : 8;
    }
    invert(&frame, fault->mask);
    frame.flags |= BH_FRAME_BENT;
    return frame;
}

static int send(bh_buses *buses, int32_t i, const fil_frame *frame, uint64_t at_ns) {
    bh_wire *wire = buses->wire;
    if (buses->bus[frame->bus].node[BH_NODE_FOREIGN].state == BH_BUS_OFF || !bh_fault_touches(wire->faults, i, at_ns) ||
        bh_bus_put(buses, frame, BH_NODE_FOREIGN, (int16_t)i, at_ns) != 0) {
        return 0;
    }
    wire->memory[i].pending = 1;
    bh_fault_touched(wire->faults, i, at_ns);
    return 1;
}

/* From one frame to the next. */
static uint64_t period_ns(const bh_buses *buses, const bh_fault *fault, const fil_frame *frame) {
    if (fault->point == BH_AT_FOREIGN_SENDER) {
        return (uint64_t)llrint(fault->value * NS_PER_S);
    }
    return (uint64_t)llrint((double)(bh_frame_ns(buses, frame) + buses->intermission_ns) / fault->value);
}

static int sends_by_itself(const bh_fault *fault) {
    return fault->point == BH_AT_FOREIGN_BABBLE || (fault->point == BH_AT_FOREIGN_SENDER && fault->mode == 0);
}

static void supply(bh_buses *buses, const bh_bus *bus, int32_t i, uint64_t until_ns) {
    const bh_fault *fault = &buses->wire->faults->plan[i];
    bh_wire_memory *memory = &buses->wire->memory[i];
    const uint64_t earliest_ns = fault->from_ns > bus->idle_ns ? fault->from_ns : bus->idle_ns;
    uint64_t at_ns = memory->next_ns > earliest_ns ? memory->next_ns : earliest_ns;
    while (!memory->pending && at_ns < until_ns) {
        const fil_frame frame = forged(buses->wire, i);
        (void)send(buses, i, &frame, at_ns);
        at_ns += period_ns(buses, fault, &frame);
        memory->next_ns = at_ns;
    }
}

void bh_foreign_supply(bh_buses *buses, bh_bus *bus, uint64_t until_ns) {
    bh_wire *wire = buses->wire;
    if (bus->node[BH_NODE_FOREIGN].state == BH_BUS_OFF) {
        return;
    }
    for (int32_t i = 0; i < wire->faults->n; i++) {
        const bh_fault *fault = &wire->faults->plan[i];
        if (sends_by_itself(fault) && &buses->bus[fault->bus] == bus) {
            supply(buses, bus, i, until_ns < fault->until_ns ? until_ns : fault->until_ns);
        }
    }
}

void bh_foreign_sent(bh_wire *wire, int32_t fault) {
    wire->memory[fault].pending = 0;
}

void bh_foreign_see(bh_buses *buses, int32_t i, const fil_frame *frame, uint64_t at_ns) {
    bh_wire *wire = buses->wire;
    bh_wire_memory *memory = &wire->memory[i];
    bh_frame_copy(&memory->frame, frame);
    memory->filled = 1;
    if (wire->faults->plan[i].mode == 1 && !memory->pending) {
        const fil_frame forgery = forged(wire, i);
        (void)send(buses, i, &forgery, at_ns);
    }
}
