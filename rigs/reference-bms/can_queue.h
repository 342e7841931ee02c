/* SPDX-License-Identifier: Apache-2.0
 *
 * can_queue.h - queue of frames waiting to be sent, and the packing all messages share.
 */
#ifndef CAN_QUEUE_H
#define CAN_QUEUE_H

#include "bms_config.h"

#define CAN_DATA_BYTES 8U

/* A classic frame. */
typedef struct {
    uint32_t id;
    bool extended; /* 29-bit identifier */
    uint8_t length;
    uint8_t data[CAN_DATA_BYTES];
} can_frame;

void can_queue_init(void);

/* Queue a frame; the word's least byte goes first. A full queue loses its oldest frame. */
void can_queue_put(uint32_t id, uint64_t word);

/* The same with alive counter (bits 8 to 11) and CRC (bits 0 to 7) put in. */
void can_queue_put_protected(uint32_t id, uint8_t data_id, uint8_t *counter, uint64_t word);

/* The same with the word's greatest byte first. */
void can_queue_put_big_endian(uint32_t id, uint64_t word);

/* Queue a frame with 29-bit identifier and up to 8 bytes. */
void can_queue_put_extended(uint32_t id, const uint8_t *data, uint32_t length);

/* How many more frames fit before the oldest is lost. */
uint32_t can_queue_room(void);

bool can_queue_pop(can_frame *frame);

/* A number as an unsigned field of the given width, clamped to what fits. */
uint64_t can_field(int64_t value, uint32_t bits, uint32_t shift);

/* The same for a signed field. */
uint64_t can_field_signed(int64_t value, uint32_t bits, uint32_t shift);

static inline uint64_t can_flag(bool value, uint32_t shift) {
    return value ? ((uint64_t)1U << shift) : 0U;
}

/* value / divisor, rounded to the nearest. divisor > 0. */
static inline int64_t can_round(int64_t value, int64_t divisor) {
    const int64_t half = divisor / 2;
    return (value >= 0) ? ((value + half) / divisor) : -((-value + half) / divisor);
}

#endif
