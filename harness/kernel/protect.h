/* SPDX-License-Identifier: Apache-2.0
 *
 * protect.h - end-to-end protection of rest-bus messages: alive counter and checksum, and faults on both.
 */
#ifndef BH_PROTECT_H
#define BH_PROTECT_H

#include "faults.h"
#include "internal.h"

/* The checksum of one message, worked out once. */
typedef struct bh_checksum {
    uint16_t table[256];
    uint16_t initial;
    uint16_t final_xor;
    uint16_t data_id;
    int16_t at; /* byte; -1 = none */
    uint8_t width;
    uint8_t reflected;
    uint8_t big_endian;
    uint8_t id_mode; /* BH_ID_* */
    uint8_t data_ids[16];
} bh_checksum;

/* What counter and checksum of one message keep from one sending to the next. */
typedef struct bh_alive {
    uint8_t counter; /* of the next sending when no fault acts */
    uint8_t last_sent;
    uint8_t last_valid;
    uint8_t bent;   /* a fault acted on the last sending: the next without one resumes */
    uint8_t resume; /* BH_RESUME_* */
    uint8_t begun;  /* something was sent */
    uint16_t last_checksum;
} bh_alive;

void bh_checksum_create(bh_checksum *checksum, const bh_message *message);

/* Put counter and checksum into a payload that is about to be sent. */
void bh_protect(const bh_message *message, const bh_checksum *checksum, bh_alive *alive, bh_faults *faults,
                int32_t index, uint64_t at_ns, fil_frame *frame);

#endif
