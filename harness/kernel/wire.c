/* SPDX-License-Identifier: Apache-2.0
 *
 * wire.c - faults on frames. A frame is bent when it is asked for: what leaves here is on the wire, with a CAN checksum
 * that fits. Faults act one after the other, in the order of the table.
 */
#include "wire.h"

#include <math.h>
#include <string.h>

#include "restbus.h"

#define NS_PER_S 1e9

enum { BITS_PER_BYTE = 8, PAYLOAD_BYTES = 64, FIRST_ERROR_BIT = 20 /* behind the arbitration of a standard frame */ };

/* ---- layout and plan ----------------------------------------------------------------------------------------- */

void bh_wire_create(bh_arena *arena, bh_wire *wire, bh_faults *faults, const bh_config *config) {
    wire->faults = faults;
    wire->memory = bh_take(arena, (size_t)config->max_faults * sizeof *wire->memory);
    wire->past = bh_take(arena, BH_PAST_FRAMES * sizeof *wire->past);
}

static void let_go(bh_buses *buses, bh_wire_memory *memory, uint64_t now_ns) {
    if (memory->filled) {
        memory->filled = 0;
        (void)bh_bus_put(buses, &memory->frame, memory->node, -1, now_ns);
    }
}

void bh_wire_drop_held(bh_wire *wire, uint8_t node) {
    for (int32_t i = 0; wire->n_bending > 0 && i < wire->faults->n; i++) {
        wire->memory[i].filled &= wire->memory[i].node != node;
    }
}

static int is_bending(int32_t point) {
    return (point >= BH_AT_FRAME_DROP && point <= BH_AT_FRAME_BYTE_ORDER) || point == BH_AT_FOREIGN_SENDER;
}

static void forget_sources(bh_buses *buses) {
    for (int32_t b = 0; b < buses->n; b++) {
        for (int32_t i = 0; i < BH_BUS_SLOTS; i++) {
            buses->bus[b].slots[i].source = -1;
        }
    }
}

void bh_wire_plan(bh_wire *wire, bh_buses *buses, uint64_t now_ns) {
    const bh_faults *faults = wire->faults;
    if (wire->n_sources > 0 || wire->n_bending > 0) {
        forget_sources(buses);
    }
    for (int32_t i = 0; wire->n > 0 && i < faults->max; i++) {
        if (wire->memory[i].node != BH_NODE_FOREIGN) {
            let_go(buses, &wire->memory[i], now_ns);
        }
    }
    wire->n = wire->n_bending = wire->n_attempts = wire->n_sources = 0;
    buses->planned = 0;
    wire->filtered = 0;
    wire->n_past = 0;
    for (int32_t i = 0; i < faults->n; i++) {
        const int32_t point = faults->plan[i].point;
        memset(&wire->memory[i], 0, sizeof wire->memory[i]);
        wire->n += point >= BH_AT_FRAME_DROP;
        buses->planned |= point >= BH_AT_FRAME_DROP;
        wire->n_bending += is_bending(point);
        wire->n_attempts += point == BH_AT_FRAME_BIT_ERROR || point == BH_AT_FRAME_ACK;
        wire->n_sources += point == BH_AT_FOREIGN_SENDER || point == BH_AT_FOREIGN_BABBLE;
        wire->filtered |= point == BH_AT_FRAME_REPLAY_S;
        if (point == BH_AT_FOREIGN_SENDER) {
            wire->memory[i].node = BH_NODE_FOREIGN; /* its frame is not held, but imitated */
        }
    }
}

/* ---- which frames -------------------------------------------------------------------------------------------- */

static int is_sender(const bh_fault *fault, uint8_t node) {
    return fault->node == BH_ANY || fault->node == node || (fault->node == BH_NOT_THE_DUT && node != BH_NODE_DUT);
}

static int is_on(const bh_fault *fault, int32_t bus) {
    return fault->bus == BH_ANY || fault->bus == bus;
}

static int same_identifier(uint32_t id, uint8_t flags, uint32_t other_id, uint8_t other_flags) {
    return id == other_id && ((flags ^ other_flags) & FIL_FRAME_EXTENDED) == 0;
}

int bh_wire_matches(const bh_fault *fault, const fil_frame *frame, uint8_t node) {
    return is_sender(fault, node) && is_on(fault, frame->bus) &&
           ((fault->id_flags & BH_ANY_ID) != 0 ||
            same_identifier(fault->id, fault->id_flags, frame->id, frame->flags));
}

/* ---- payloads ------------------------------------------------------------------------------------------------ */

static void invert_bit(fil_frame *frame, uint32_t bit) {
    frame->data[bit / BITS_PER_BYTE] ^= (uint8_t)(1U << bit % BITS_PER_BYTE);
}

/* `value` different bits of a stretch: each of those left to see is taken with the odds that it is one of them. */
static int invert_random(const bh_faults *faults, int32_t i, fil_frame *frame) {
    const bh_fault *fault = &faults->plan[i];
    const uint32_t end = BITS_PER_BYTE * (uint32_t)frame->length;
    const uint32_t first = fault->length == 0 ? 0 : fault->start_bit;
    const uint32_t last = fault->length != 0 && first + fault->length < end ? first + fault->length : end;
    uint32_t wanted = (uint32_t)fault->value;
    int touched = 0;
    for (uint32_t bit = first; bit < last && wanted > 0; bit++) {
        if (bh_fault_draw(faults, i, 1 + bit) % (last - bit) < wanted) {
            invert_bit(frame, bit);
            wanted--;
            touched = 1;
        }
    }
    return touched;
}

static int corrupt(const bh_faults *faults, int32_t i, fil_frame *frame) {
    const uint64_t mask = faults->plan[i].mask;
    int touched = 0;
    if (mask == 0) {
        return invert_random(faults, i, frame);
    }
    for (uint32_t byte = 0; byte < 8 && byte < frame->length; byte++) {
        frame->data[byte] ^= (uint8_t)(mask >> BITS_PER_BYTE * byte);
        touched |= (uint8_t)(mask >> BITS_PER_BYTE * byte) != 0;
    }
    return touched;
}

static int cut(const bh_fault *fault, fil_frame *frame) {
    if (fault->value >= frame->length) {
        return 0;
    }
    frame->length = (uint8_t)fault->value;
    return 1;
}

/* The raw value with its bytes in the opposite order, cut to the bits of the field: its neighbours stay. */
static int swap_bytes(const bh_fault *fault, fil_frame *frame) {
    const bh_field field = {
        .start_bit = fault->start_bit, .length = fault->length, .big_endian = fault->big_endian, .scale = 1.0};
    if (bh_field_end(&field) > frame->length) {
        return 0;
    }
    const uint64_t raw = bh_field_raw(&field, frame->data);
    uint64_t swapped = 0;
    for (uint32_t done = 0; done < fault->length; done += BITS_PER_BYTE) {
        swapped = swapped << BITS_PER_BYTE | (raw >> done & 0xFF);
    }
    bh_field_put_raw(&field, frame->data, swapped);
    return bh_field_raw(&field, frame->data) != raw;
}

/* ---- the past ------------------------------------------------------------------------------------------------ */

static void keep(bh_wire *wire, const fil_frame *frame, uint8_t node, uint64_t at_ns) {
    for (int32_t i = 0; i < wire->faults->n; i++) {
        const bh_fault *fault = &wire->faults->plan[i];
        if (fault->point == BH_AT_FRAME_REPLAY_S && bh_wire_matches(fault, frame, node)) {
            bh_past *past = &wire->past[wire->n_past++ % BH_PAST_FRAMES];
            past->ns = at_ns;
            past->id = frame->id;
            past->flags = frame->flags;
            past->bus = frame->bus;
            past->length = frame->length;
            memcpy(past->data, frame->data, sizeof past->data);
            return;
        }
    }
}

static int replay(const bh_wire *wire, const bh_fault *fault, fil_frame *frame, uint64_t at_ns) {
    const uint64_t age_ns = (uint64_t)llrint(fault->value * NS_PER_S);
    const uint32_t kept = wire->n_past < BH_PAST_FRAMES ? wire->n_past : BH_PAST_FRAMES;
    for (uint32_t back = 1; back <= kept; back++) {
        const bh_past *past = &wire->past[(wire->n_past - back) % BH_PAST_FRAMES];
        if (past->ns + age_ns <= at_ns && past->bus == frame->bus &&
            same_identifier(past->id, past->flags, frame->id, frame->flags)) {
            frame->length = past->length;
            memcpy(frame->data, past->data, sizeof frame->data);
            return 1;
        }
    }
    return 0;
}

/* ---- a frame is asked for ------------------------------------------------------------------------------------ */

/* A frame on its way through the table. */
typedef struct bh_passage {
    fil_frame frame;
    uint64_t at_ns;
    uint64_t again_ns; /* a copy so much later */
    uint8_t node;
    uint8_t dropped;
    uint8_t twice;
    int32_t hold;    /* the fault that keeps it back, -1 = none */
    int32_t let_out; /* the fault whose held frame follows, -1 = none */
} bh_passage;

static double uniform(uint64_t bits) {
    return (double)(bits >> 11) / 9007199254740992.0;
}

static int later(const bh_wire *wire, int32_t i, bh_passage *passage, uint64_t asked_ns) {
    const bh_fault *fault = &wire->faults->plan[i];
    const int jitters = fault->point == BH_AT_FRAME_JITTER_S;
    const double share = jitters ? uniform(bh_fault_draw(wire->faults, i, 1)) : bh_fault_strength(fault, asked_ns);
    const uint64_t delay_ns = (uint64_t)llrint(share * fault->value * NS_PER_S);
    passage->at_ns += delay_ns;
    return delay_ns > 0;
}

static int act(bh_wire *wire, int32_t i, bh_passage *passage, uint64_t asked_ns) {
    const bh_fault *fault = &wire->faults->plan[i];
    switch (fault->point) {
    case BH_AT_FRAME_DELAY_S:
    case BH_AT_FRAME_JITTER_S: return later(wire, i, passage, asked_ns);
    case BH_AT_FRAME_DUPLICATE:
        passage->twice = 1;
        passage->again_ns = (uint64_t)llrint(fault->value * NS_PER_S);
        return 1;
    case BH_AT_FRAME_REORDER: passage->hold = i; return 1;
    case BH_AT_FRAME_REPLAY_S: return replay(wire, fault, &passage->frame, asked_ns);
    case BH_AT_FRAME_CORRUPT: return corrupt(wire->faults, i, &passage->frame);
    case BH_AT_FRAME_LENGTH: return cut(fault, &passage->frame);
    case BH_AT_FRAME_BYTE_ORDER: return swap_bytes(fault, &passage->frame);
    default: return 0;
    }
}

static void bend(bh_wire *wire, int32_t i, bh_passage *passage, uint64_t asked_ns) {
    const bh_fault *fault = &wire->faults->plan[i];
    if (fault->point == BH_AT_FRAME_REORDER && wire->memory[i].filled) {
        const fil_frame *held = &wire->memory[i].frame;
        if (same_identifier(held->id, held->flags, passage->frame.id, passage->frame.flags) &&
            held->bus == passage->frame.bus) {
            passage->let_out = i;
        }
        return;
    }
    if (!bh_fault_touches(wire->faults, i, asked_ns)) {
        return;
    }
    if (fault->point == BH_AT_FRAME_DROP) {
        passage->dropped = fault->mode == 0;
        passage->frame.flags |= BH_FRAME_UNHEARD;
        bh_fault_touched(wire->faults, i, asked_ns);
    } else if (act(wire, i, passage, asked_ns)) {
        passage->frame.flags |= BH_FRAME_BENT;
        bh_fault_touched(wire->faults, i, asked_ns);
    }
}

static int leave(bh_buses *buses, const bh_passage *passage) {
    bh_wire *wire = buses->wire;
    if (passage->hold >= 0) {
        bh_wire_memory *memory = &wire->memory[passage->hold];
        memory->frame = passage->frame;
        memory->node = passage->node;
        memory->filled = 1;
        return 0;
    }
    int result = bh_bus_put(buses, &passage->frame, passage->node, -1, passage->at_ns);
    if (passage->twice) {
        result |= bh_bus_put(buses, &passage->frame, passage->node, -1, passage->at_ns + passage->again_ns);
    }
    if (passage->let_out >= 0) {
        let_go(buses, &wire->memory[passage->let_out], passage->at_ns);
    }
    return result;
}

int bh_wire_queue(bh_buses *buses, const fil_frame *frame, uint8_t node, uint64_t at_ns) {
    bh_wire *wire = buses->wire;
    bh_passage passage = {.at_ns = at_ns, .node = node, .hold = -1, .let_out = -1};
    bh_frame_copy(&passage.frame, frame);
    if (node == BH_NODE_FOREIGN) {
        return bh_bus_put(buses, frame, node, -1, at_ns);
    }
    if (wire->filtered) {
        keep(wire, &passage.frame, node, at_ns);
    }
    for (int32_t i = 0; i < wire->faults->n && !passage.dropped; i++) {
        const bh_fault *fault = &wire->faults->plan[i];
        if (fault->point == BH_AT_FOREIGN_SENDER && bh_wire_matches(fault, frame, node)) {
            bh_foreign_see(buses, i, frame, at_ns);
        } else if (is_bending(fault->point) && bh_wire_matches(fault, frame, node)) {
            bend(wire, i, &passage, at_ns);
        }
    }
    return passage.dropped ? 0 : leave(buses, &passage);
}

/* ---- attempts and ticks -------------------------------------------------------------------------------------- */

static bh_attempt attempt_of(const bh_wire *wire, int32_t i, uint32_t last_bit) {
    const bh_fault *fault = &wire->faults->plan[i];
    if (fault->point == BH_AT_FRAME_ACK) {
        return (bh_attempt){BH_CAUSE_ACKNOWLEDGE, 0};
    }
    if (fault->mode != 0) {
        return (bh_attempt){BH_CAUSE_CHECKSUM, 0};
    }
    const uint64_t places = last_bit - FIRST_ERROR_BIT + 1;
    const uint32_t any = FIRST_ERROR_BIT + (uint32_t)(bh_fault_draw(wire->faults, i, 1) % places);
    const uint32_t bit = fault->value > 0.0 ? (uint32_t)fault->value : any;
    return (bh_attempt){BH_CAUSE_BIT, bit < last_bit ? bit : last_bit};
}

bh_attempt bh_wire_attempt(bh_buses *buses, const bh_slot *slot, uint64_t at_ns, uint32_t last_bit,
                           uint8_t receiver_state) {
    bh_wire *wire = buses->wire;
    bh_attempt attempt = {0, 0};
    for (int32_t i = 0; wire->n_attempts > 0 && i < wire->faults->n && attempt.cause == 0; i++) {
        const bh_fault *fault = &wire->faults->plan[i];
        const int is_error = fault->point == BH_AT_FRAME_BIT_ERROR;
        const int nobody_finds_it = is_error && fault->mode != 0 && receiver_state == BH_BUS_OFF;
        if ((is_error || fault->point == BH_AT_FRAME_ACK) && !nobody_finds_it &&
            bh_wire_matches(fault, &slot->frame, slot->node) && bh_fault_touches(wire->faults, i, at_ns)) {
            bh_fault_touched(wire->faults, i, at_ns);
            attempt = attempt_of(wire, i, last_bit);
        }
    }
    return attempt;
}

static void force(bh_wire *wire, bh_buses *buses, int32_t i, uint64_t now_ns) {
    const bh_fault *fault = &wire->faults->plan[i];
    for (int32_t b = 0; b < buses->n; b++) {
        bh_bus *bus = &buses->bus[b];
        for (uint8_t node = 0; is_on(fault, b) && node < BH_N_NODES; node++) {
            const bh_can_node *can = &bus->node[node];
            const int there = node == BH_NODE_DUT ? buses->dut_on : node < BH_NODE_FOREIGN;
            if (there && is_sender(fault, node) && can->state != BH_BUS_OFF && can->tec < fault->value &&
                bh_fault_touches(wire->faults, i, now_ns)) {
                bh_confine_force(buses, bus, node, (uint16_t)fault->value, now_ns);
                bh_fault_touched(wire->faults, i, now_ns);
            }
        }
    }
}

void bh_wire_tick(bh_wire *wire, bh_buses *buses, uint64_t now_ns) {
    for (int32_t i = 0; i < wire->faults->n; i++) {
        const bh_fault *fault = &wire->faults->plan[i];
        if (fault->point == BH_AT_NODE_TEC) {
            force(wire, buses, i, now_ns);
        } else if (fault->point == BH_AT_FRAME_REORDER && now_ns >= fault->until_ns) {
            let_go(buses, &wire->memory[i], now_ns);
        }
    }
}
