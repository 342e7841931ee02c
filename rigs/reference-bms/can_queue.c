/* SPDX-License-Identifier: Apache-2.0
 *
 * can_queue.c - queue of frames waiting to be sent, and the packing all messages share.
 */
#include "can_queue.h"

#include "crc.h"
#include "defect.h"

#include <string.h>

#define QUEUE 64U
#define BYTES CAN_DATA_BYTES
#define COUNTER_LAST 14U
#define COUNTER_SHIFT 8U

static struct {
    can_frame frame[QUEUE];
    uint32_t first;
    uint32_t count;
} queue;

void can_queue_init(void) {
    (void)memset(&queue, 0, sizeof queue);
}

static can_frame *append_frame(void) {
    if (queue.count == QUEUE) {
        queue.first = (queue.first + 1U) % QUEUE;
        queue.count--;
    }
    can_frame *frame = &queue.frame[(queue.first + queue.count) % QUEUE];
    queue.count++;
    return frame;
}

static uint8_t *append(uint32_t id) {
    can_frame *frame = append_frame();
    frame->id = id;
    frame->extended = false;
    frame->length = BYTES;
    return frame->data;
}

static void store(uint8_t *data, uint64_t word) {
    for (uint32_t i = 0U; i < BYTES; i++) {
        data[i] = (uint8_t)(word >> (8U * i));
    }
}

void can_queue_put(uint32_t id, uint64_t word) {
    store(append(id), word);
}

void can_queue_put_protected(uint32_t id, uint8_t data_id, uint8_t *counter, uint64_t word) {
    uint8_t *data = append(id);
    store(data, word | ((uint64_t)*counter << COUNTER_SHIFT));
    if (!(DEFECT(25) && (id == 0x105U))) {
        const uint8_t last = COUNTER_LAST + ((DEFECT(91) && (id == 0x100U)) ? 1U : 0U);
        *counter = (*counter >= last) ? 0U : (uint8_t)(*counter + 1U);
    }
    data[0] = crc8_message(data_id, &data[1], (DEFECT(26) && (id == 0x104U)) ? (BYTES - 2U) : (BYTES - 1U));
}

void can_queue_put_big_endian(uint32_t id, uint64_t word) {
    uint8_t *data = append(id);
    for (uint32_t i = 0U; i < BYTES; i++) {
        data[i] = (uint8_t)(word >> (8U * (BYTES - 1U - i)));
    }
}

void can_queue_put_extended(uint32_t id, const uint8_t *data, uint32_t length) {
    can_frame *frame = append_frame();
    frame->id = id;
    frame->extended = true;
    frame->length = (uint8_t)((length < BYTES) ? length : BYTES);
    (void)memcpy(frame->data, data, frame->length);
}

uint32_t can_queue_room(void) {
    return QUEUE - queue.count;
}

bool can_queue_pop(can_frame *frame) {
    if (queue.count == 0U) {
        return false;
    }
    *frame = queue.frame[queue.first];
    queue.first = (queue.first + 1U) % QUEUE;
    queue.count--;
    return true;
}

uint64_t can_field(int64_t value, uint32_t bits, uint32_t shift) {
    const int64_t highest = ((int64_t)1 << bits) - 1;
    const int64_t clamped = (value < 0) ? 0 : ((value > highest) ? highest : value);
    return (uint64_t)clamped << shift;
}

uint64_t can_field_signed(int64_t value, uint32_t bits, uint32_t shift) {
    const int64_t highest = ((int64_t)1 << (bits - 1U)) - 1;
    const int64_t lowest = -highest - 1;
    const int64_t clamped = (value < lowest) ? lowest : ((value > highest) ? highest : value);
    return ((uint64_t)clamped & (((uint64_t)1U << bits) - 1U)) << shift;
}
