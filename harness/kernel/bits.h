/* SPDX-License-Identifier: Apache-2.0
 *
 * bits.h - how long a CAN frame is on the wire, counted over its real bits.
 */
#ifndef BH_BITS_H
#define BH_BITS_H

#include "kernel.h"

enum { BH_STUFF_STATES = 8, BH_INTERMISSION_BITS = 3 };

/* Tables over whole bytes, filled once per simulation (they lie in the arena). */
typedef struct bh_bit_tables {
    uint8_t stuff[BH_STUFF_STATES][256]; /* next state | stuff bits inserted << 3 */
    uint16_t crc15[256];
} bh_bit_tables;

/* Bits from start of frame to the last bit of end of frame, per phase. */
typedef struct bh_bit_count {
    uint32_t nominal;
    uint32_t data; /* CAN FD with bit-rate switch only */
} bh_bit_count;

void bh_bits_init(bh_bit_tables *tables);
bh_bit_count bh_bits_count(const bh_bit_tables *tables, const fil_frame *frame);

enum { BH_STREAM_BITS = 720 }; /* 64 bytes, extended identifier: 553 bits and a stuff bit for every four */

/* The bits on the wire, 1 = recessive, stuff bits included: from start of frame to the end of the CRC, for CAN FD to
 * the last data bit. Returns how many. For frames that differ, the streams do. */
uint32_t bh_bits_stream(const fil_frame *frame, uint8_t *bits);

/* The order in which frames win the bus: lower first. The bits two controllers compare during arbitration. */
uint64_t bh_arbitration_key(const fil_frame *frame);

#endif
