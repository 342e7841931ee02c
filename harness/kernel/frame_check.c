/* SPDX-License-Identifier: Apache-2.0
 *
 * frame_check.c - refuses faults on messages, frames and nodes that make no sense.
 */
#include <math.h>

#include "faults.h"
#include "restbus.h"

static int is_whole(double value, double low, double high) {
    return value >= low && value <= high && rint(value) == value;
}

static const char *problem_of_protection(const bh_faults *faults, const bh_fault *fault) {
    if (fault->mode > BH_RESUME_LAST_SENT || !is_whole(fault->value, -65535, 65535)) {
        return "counters and checksums take whole numbers, mode 0..2";
    }
    for (int32_t i = 0; fault->op == BH_OP_SET && i < faults->n_messages; i++) {
        const bh_message *message = &faults->messages[i];
        const int counter = fault->point == BH_AT_MESSAGE_COUNTER;
        const int bits = counter ? message->counter_length : message->e2e_width == 16 ? 16 : 8;
        const int has_one = counter ? message->counter_start_bit >= 0 : message->crc_byte >= 0;
        if (has_one && (fault->index < 0 || fault->index == i) && !is_whole(fault->value, 0, ldexp(1.0, bits) - 1)) {
            return "the value does not fit the counter or checksum";
        }
    }
    return NULL;
}

static const char *problem_of_selection(const bh_faults *faults, const bh_fault *fault) {
    const uint32_t max_id = (fault->id_flags & FIL_FRAME_EXTENDED) != 0 ? 0x1FFFFFFF : 0x7FF;
    if ((fault->id_flags & ~(FIL_FRAME_EXTENDED | BH_ANY_ID)) != 0 ||
        ((fault->id_flags & BH_ANY_ID) == 0 && fault->id > max_id)) {
        return "no such identifier";
    }
    if (fault->bus != BH_ANY && fault->bus >= faults->n_buses) {
        return "no such bus";
    }
    if (fault->node != BH_ANY && fault->node != BH_NOT_THE_DUT && fault->node >= BH_N_NODES) {
        return "no such node";
    }
    return fault->mode > 1 ? "mode must be 0 or 1" : NULL;
}

static const char *problem_of_foreign(const bh_fault *fault) {
    const int babbles = fault->point == BH_AT_FOREIGN_BABBLE;
    if ((fault->id_flags & BH_ANY_ID) != 0 || fault->bus == BH_ANY || fault->shape != BH_SHAPE_STEP) {
        return "a foreign node needs an identifier and a bus, and has no course over time";
    }
    if (babbles) {
        return fault->value > 0 && fault->value <= 1 && fault->length <= 8
                   ? NULL
                   : "a babbling node takes 0..1 of the bus time with 0..8 bytes";
    }
    return fault->mode == 1 || (fault->value >= 0.001 && fault->value <= BH_FOREVER_S)
               ? NULL
               : "a foreign sender needs a period of at least 0.001 s";
}

static const char *problem_of_field(const bh_fault *fault) {
    const bh_field field = {.start_bit = fault->start_bit, .length = fault->length, .big_endian = fault->big_endian};
    const uint32_t lead = fault->big_endian ? 7 - fault->start_bit % 8 : fault->start_bit % 8;
    return fault->length > 8 && lead + fault->length <= 64 && bh_field_end(&field) <= 64
               ? NULL
               : "a field with a byte order has 9..64 bits within 8 bytes";
}

static const char *problem_of_frames(const bh_faults *faults, const bh_fault *fault) {
    const char *problem = problem_of_selection(faults, fault);
    if (problem != NULL) {
        return problem;
    }
    switch (fault->point) {
    case BH_AT_FRAME_DELAY_S:
    case BH_AT_FRAME_JITTER_S:
    case BH_AT_FRAME_DUPLICATE:
    case BH_AT_FRAME_REPLAY_S: return fault->value >= 0 && fault->value <= BH_FOREVER_S ? NULL : "a time must be >= 0";
    case BH_AT_FRAME_CORRUPT:
        return fault->mask != 0 || is_whole(fault->value, 1, 512) ? NULL : "needs a mask, or 1..512 random bits";
    case BH_AT_FRAME_LENGTH: return is_whole(fault->value, 0, 63) ? NULL : "a short frame has 0..63 bytes";
    case BH_AT_FRAME_BYTE_ORDER: return problem_of_field(fault);
    case BH_AT_FRAME_BIT_ERROR:
        return fault->value == 0 || is_whole(fault->value, 20, 1000) ? NULL : "the bit must be 0 (any) or 20..1000";
    case BH_AT_FOREIGN_SENDER:
    case BH_AT_FOREIGN_BABBLE: return problem_of_foreign(fault);
    case BH_AT_NODE_TEC: return is_whole(fault->value, 0, 256) ? NULL : "an error counter is 0..256 here";
    default: return NULL;
    }
}

const char *bh_frame_fault_problem(const bh_faults *faults, const bh_fault *fault) {
    if (fault->point < BH_AT_MESSAGE_COUNTER) {
        return NULL;
    }
    if (!(fault->probability >= 0 && fault->probability <= 1)) {
        return "probability must be 0..1";
    }
    if (fault->point >= BH_AT_GBT_SILENT) {
        return fault->value >= 0 && fault->value <= BH_FOREVER_S ? NULL : "a charger takes no negative number";
    }
    return fault->point <= BH_AT_MESSAGE_CRC ? problem_of_protection(faults, fault) : problem_of_frames(faults, fault);
}
