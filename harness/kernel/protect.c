/* SPDX-License-Identifier: Apache-2.0
 *
 * protect.c - end-to-end protection of rest-bus messages. The checksum is a CRC of 8 or 16 bits of any kind over the
 * payload without its own bytes, with the data identifier where BH_ID_* says.
 */
#include "protect.h"

#include <string.h>

#include "restbus.h"

/* ---- checksum ------------------------------------------------------------------------------------------------ */

static uint16_t reflect(uint32_t value, int width) {
    uint32_t reversed = 0;
    for (int i = 0; i < width; i++) {
        reversed = reversed << 1 | (value >> i & 1);
    }
    return (uint16_t)reversed;
}

static uint16_t table_entry(const bh_checksum *checksum, uint32_t polynomial, uint32_t byte) {
    const int width = checksum->width;
    const uint32_t top = 1U << (width - 1);
    uint32_t crc = checksum->reflected ? byte : byte << (width - 8);
    for (int bit = 0; bit < 8; bit++) {
        if (checksum->reflected) {
            crc = (crc & 1) != 0 ? crc >> 1 ^ polynomial : crc >> 1;
        } else {
            crc = (crc & top) != 0 ? crc << 1 ^ polynomial : crc << 1;
        }
    }
    return (uint16_t)(crc & (2 * top - 1));
}

void bh_checksum_create(bh_checksum *checksum, const bh_message *message) {
    const int plain = message->e2e_width == 0;
    const uint32_t polynomial = plain ? message->crc_polynomial : message->e2e_polynomial;
    checksum->at = message->crc_byte;
    checksum->width = plain ? 8 : message->e2e_width;
    checksum->reflected = !plain && message->e2e_reflected;
    checksum->big_endian = !plain && message->e2e_big_endian;
    checksum->id_mode = plain ? BH_ID_LOW : message->e2e_id_mode;
    checksum->initial = plain ? message->crc_initial : message->e2e_initial;
    checksum->initial &= checksum->width == 8 ? 0xFF : 0xFFFF;
    checksum->final_xor = plain ? message->crc_final_xor : message->e2e_final_xor;
    checksum->data_id = plain ? message->crc_data_id : message->e2e_data_id;
    memcpy(checksum->data_ids, message->e2e_data_ids, sizeof checksum->data_ids);
    if (checksum->reflected) {
        checksum->initial = reflect(checksum->initial, checksum->width);
    }
    for (uint32_t byte = 0; byte < 256; byte++) {
        checksum->table[byte] = table_entry(
            checksum, checksum->reflected ? reflect(polynomial, checksum->width) : polynomial, byte);
    }
}

static inline uint16_t feed(const bh_checksum *checksum, uint32_t crc, uint32_t byte) {
    if (checksum->width == 8) {
        return checksum->table[(crc ^ byte) & 0xFF];
    }
    if (checksum->reflected) {
        return (uint16_t)(crc >> 8 ^ checksum->table[(crc ^ byte) & 0xFF]);
    }
    return (uint16_t)(crc << 8 ^ checksum->table[(crc >> 8 ^ byte) & 0xFF]);
}

static uint16_t feed_id_before(const bh_checksum *checksum, uint16_t crc, uint8_t counter) {
    const uint32_t low = checksum->data_id & 0xFF;
    const uint32_t high = checksum->data_id >> 8;
    switch (checksum->id_mode) {
    case BH_ID_LOW: return feed(checksum, crc, low);
    case BH_ID_BOTH: return feed(checksum, feed(checksum, crc, low), high);
    case BH_ID_ALTERNATING: return feed(checksum, crc, counter % 2 == 0 ? low : high);
    case BH_ID_NIBBLE: return feed(checksum, feed(checksum, crc, low), 0);
    default: return crc;
    }
}

static uint16_t feed_id_after(const bh_checksum *checksum, uint16_t crc, uint8_t counter) {
    switch (checksum->id_mode) {
    case BH_ID_BOTH_AFTER:
        return feed(checksum, feed(checksum, crc, checksum->data_id & 0xFF), checksum->data_id >> 8);
    case BH_ID_LIST_AFTER: return feed(checksum, crc, checksum->data_ids[counter & 15]);
    default: return crc;
    }
}

static uint16_t feed_all(const bh_checksum *checksum, uint16_t crc, const uint8_t *data, int32_t first, int32_t end) {
    if (checksum->width == 8) { /* the common one, with no questions asked for every byte */
        for (int32_t i = first; i < end; i++) {
            crc = checksum->table[crc ^ data[i]];
        }
        return crc;
    }
    for (int32_t i = first; i < end; i++) {
        crc = feed(checksum, crc, data[i]);
    }
    return crc;
}

static uint16_t checksum_of(const bh_checksum *checksum, const fil_frame *frame, uint8_t counter) {
    uint16_t crc = feed_id_before(checksum, checksum->initial, counter);
    crc = feed_all(checksum, crc, frame->data, 0, checksum->at);
    crc = feed_all(checksum, crc, frame->data, checksum->at + checksum->width / 8, frame->length);
    return feed_id_after(checksum, crc, counter) ^ checksum->final_xor;
}

static void put_checksum(const bh_checksum *checksum, fil_frame *frame, uint16_t value) {
    if (checksum->width == 8) {
        frame->data[checksum->at] = (uint8_t)value;
        return;
    }
    frame->data[checksum->at] = (uint8_t)(checksum->big_endian ? value >> 8 : value);
    frame->data[checksum->at + 1] = (uint8_t)(checksum->big_endian ? value : value >> 8);
}

/* ---- faults -------------------------------------------------------------------------------------------------- */

/* What a fault makes of a number of `n` values, `held` the last one sent. */
static uint32_t bent(const bh_faults *faults, int32_t i, uint32_t right, uint32_t held, uint32_t n) {
    const bh_fault *fault = &faults->plan[i];
    switch (fault->op) {
    case BH_OP_SET: return (uint32_t)fault->value;
    case BH_OP_HOLD: return held;
    case BH_OP_ADD: return (uint32_t)((((int64_t)right + (int64_t)fault->value) % n + n) % n);
    default: return (uint32_t)((right + 1 + bh_fault_draw(faults, i, 1) % (n - 1)) % n);
    }
}

/* The number after all faults of one point; *touched when one of them was due. */
static uint32_t after_faults(bh_faults *faults, int32_t point, int32_t index, uint64_t at_ns, uint32_t right,
                             uint32_t held, uint32_t n, const bh_fault **touched) {
    uint32_t value = right;
    for (int32_t i = 0; i < faults->n; i++) {
        const bh_fault *fault = &faults->plan[i];
        if (fault->point != point || (fault->index >= 0 && fault->index != index) ||
            !bh_fault_touches(faults, i, at_ns)) {
            continue;
        }
        const uint32_t found = value;
        value = bent(faults, i, found, held, n);
        *touched = fault;
        if (value != found) {
            bh_fault_touched(faults, i, at_ns);
        } else {
            faults->state[i].touched++; /* one of the frames it lasts, though this one stayed as it was */
        }
    }
    return value;
}

/* ---- one sending --------------------------------------------------------------------------------------------- */

static uint8_t next_of(const bh_message *message, uint8_t counter) {
    return counter >= message->counter_max ? 0 : (uint8_t)(counter + 1);
}

static uint8_t counter_of(const bh_message *message, bh_alive *alive, bh_faults *faults, int32_t index,
                          uint64_t at_ns) {
    const bh_fault *touched = NULL;
    const uint32_t held = alive->begun ? alive->last_sent : alive->counter;
    uint32_t value = alive->counter;
    if (faults->n_protection_faults > 0) {
        /* offsets and random numbers stay within the values of the counter, a value set uses all its bits */
        value = after_faults(faults, BH_AT_MESSAGE_COUNTER, index, at_ns, value, held,
                             (uint32_t)message->counter_max + 1, &touched);
    }
    if (touched == NULL && alive->bent && alive->resume != BH_RESUME_CORRECT) {
        alive->counter = next_of(message, alive->resume == BH_RESUME_LAST_SENT ? alive->last_sent : alive->last_valid);
        value = alive->counter;
    }
    alive->bent = touched != NULL;
    alive->resume = touched != NULL ? touched->mode : BH_RESUME_CORRECT;
    alive->last_valid = touched == NULL ? (uint8_t)value : alive->last_valid;
    alive->last_sent = (uint8_t)value;
    alive->begun = 1;
    alive->counter = next_of(message, alive->counter);
    return (uint8_t)value;
}

static void put_counter(const bh_message *message, uint8_t *payload, uint8_t counter) {
    const bh_field field = {.start_bit = (uint16_t)message->counter_start_bit,
                            .length = (uint16_t)message->counter_length,
                            .scale = 1.0};
    bh_field_put_raw(&field, payload, counter);
}

void bh_protect(const bh_message *message, const bh_checksum *checksum, bh_alive *alive, bh_faults *faults,
                int32_t index, uint64_t at_ns, fil_frame *frame) {
    uint8_t counter = 0;
    if (message->counter_start_bit >= 0) {
        counter = counter_of(message, alive, faults, index, at_ns);
        put_counter(message, frame->data, counter);
    }
    if (checksum->at < 0) {
        return;
    }
    if (checksum->id_mode == BH_ID_NIBBLE) {
        uint8_t *behind = &frame->data[checksum->at + 1];
        *behind = (uint8_t)((*behind & 0x0F) | (checksum->data_id >> 8 & 0x0F) << 4);
    }
    const bh_fault *touched = NULL;
    uint32_t value = checksum_of(checksum, frame, counter);
    if (faults->n_protection_faults > 0) {
        value = after_faults(faults, BH_AT_MESSAGE_CRC, index, at_ns, value, alive->last_checksum,
                             1U << checksum->width, &touched);
    }
    alive->last_checksum = (uint16_t)value;
    put_checksum(checksum, frame, (uint16_t)value);
}
