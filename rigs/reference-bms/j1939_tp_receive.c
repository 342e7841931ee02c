/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_tp_receive.c - the receiving side: one connection and one broadcast at a time from each sender.
 *
 * A sender whose last message has not been polled yet is held off (CTS for no packets, again every Th).
 */
#include "can_queue.h"
#include "j1939_tp_parts.h"

#include <string.h>

#define BUFFERS 4U
#define BLOCK 16U       /* packets cleared at once */
#define RETRANSMITS 2U  /* a packet lost is asked for again so often */

typedef enum {
    FREE = 0,
    OPENED,  /* cleared or announced, no packet yet */
    PACKETS, /* under way */
    HELD,    /* the message before has to be polled first */
    COMPLETE,
    POLLED   /* given out, free with the next step or frame */
} stage;

typedef struct {
    stage stage;
    uint32_t order;
    uint32_t since_ms;
    uint32_t pgn;
    uint32_t length;
    uint32_t next; /* packet expected, from 1 */
    uint32_t last; /* packet cleared */
    uint32_t retransmits;
    bool asked; /* again, and the packets on their way before that are not wanted */
    uint8_t block; /* packets the sender takes at once */
    uint8_t source;
    uint8_t destination;
    uint8_t data[J1939_TP_MOST];
} incoming;

static struct {
    incoming buffer[BUFFERS];
    uint32_t order;
} receiver;

void tp_receiver_reset(void) {
    (void)memset(&receiver, 0, sizeof receiver);
}

static void enter(incoming *message, stage next) {
    message->stage = next;
    message->since_ms = tp_now_ms();
}

static void free_polled(void) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        if (receiver.buffer[i].stage == POLLED) {
            receiver.buffer[i].stage = FREE;
        }
    }
}

static bool is_open(const incoming *message) {
    return (message->stage == OPENED) || (message->stage == PACKETS) || (message->stage == HELD);
}

bool tp_receiver_busy(void) {
    bool busy = false;
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        busy = busy || is_open(&receiver.buffer[i]);
    }
    return busy;
}

static incoming *find_open(uint8_t source, uint8_t destination) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        incoming *message = &receiver.buffer[i];
        if (is_open(message) && (message->source == source) && (message->destination == destination)) {
            return message;
        }
    }
    return NULL;
}

static incoming *find_free(void) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        if (receiver.buffer[i].stage == FREE) {
            return &receiver.buffer[i];
        }
    }
    return NULL;
}

/* A complete message of this sender still waits for its reader. */
static bool unread(uint8_t source) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        if ((receiver.buffer[i].stage == COMPLETE) && (receiver.buffer[i].source == source)) {
            return true;
        }
    }
    return false;
}

static void clear_block(incoming *message) {
    const uint32_t left = tp_packets(message->length) + 1U - message->next;
    const uint32_t count = (left < message->block) ? left : message->block;
    const uint8_t head[TP_HEAD_BYTES] = {TP_CTS, (uint8_t)count, (uint8_t)message->next, 0xFFU, 0xFFU};
    message->last = message->next + count - 1U;
    tp_put_connection(TP_PRIORITY, message->source, head, message->pgn);
    enter(message, OPENED);
}

static void hold(incoming *message) {
    const uint8_t head[TP_HEAD_BYTES] = {TP_CTS, 0U, 0xFFU, 0xFFU, 0xFFU};
    tp_put_connection(TP_PRIORITY, message->source, head, message->pgn);
    enter(message, HELD);
}

static void acknowledge(const incoming *message) {
    const uint8_t head[TP_HEAD_BYTES] = {TP_END, (uint8_t)message->length, (uint8_t)(message->length >> 8U),
                                         (uint8_t)tp_packets(message->length), 0xFFU};
    tp_put_connection(TP_PRIORITY, message->source, head, message->pgn);
}

static void give_up(incoming *message, uint8_t reason) {
    if (message->destination != J1939_GLOBAL) {
        tp_put_abort(message->source, reason, message->pgn);
    }
    tp_failed();
    message->stage = FREE;
}

static bool announced_well(const uint8_t *data, uint32_t length) {
    return (length >= J1939_TP_LEAST) && (length <= J1939_TP_MOST) && (data[3] == tp_packets(length));
}

/* A new announcement replaces an unfinished one of the same sender. */
void tp_receiver_open(uint8_t source, uint8_t destination, const uint8_t *data, uint32_t pgn) {
    const uint32_t length = (uint32_t)data[1] | ((uint32_t)data[2] << 8U);
    const bool global = destination == J1939_GLOBAL;
    free_polled();
    if (!announced_well(data, length)) {
        return;
    }
    incoming *message = find_open(source, destination);
    message = (message == NULL) ? find_free() : message;
    if (message == NULL) {
        if (!global) {
            tp_put_abort(source, TP_RESOURCES, pgn);
        }
        tp_failed();
        return;
    }
    message->source = source;
    message->destination = destination;
    message->pgn = pgn;
    message->length = length;
    message->next = 1U;
    message->last = tp_packets(length);
    message->retransmits = 0U;
    message->asked = false;
    message->block = (uint8_t)(((data[4] != 0U) && (data[4] < BLOCK)) ? data[4] : BLOCK);
    if (global) {
        enter(message, PACKETS);
    } else if (unread(source)) {
        hold(message);
    } else {
        clear_block(message);
    }
}

static void take_packet(incoming *message, const uint8_t *data) {
    (void)memcpy(&message->data[(message->next - 1U) * TP_PACKET_BYTES], &data[1],
                 tp_packet_bytes(message->length, message->next));
    message->next++;
    message->asked = false;
    enter(message, PACKETS);
    if (message->next > tp_packets(message->length)) {
        if (message->destination != J1939_GLOBAL) {
            acknowledge(message);
        }
        message->order = receiver.order;
        receiver.order++;
        message->stage = COMPLETE;
    } else if (message->next > message->last) {
        clear_block(message);
    } else {
        /* more of this block to come */
    }
}

/* A packet is missing: a broadcast is lost, a connection asks again. */
static void take_gap(incoming *message) {
    if (message->asked) {
        return;
    }
    if ((message->destination == J1939_GLOBAL) || (message->retransmits >= RETRANSMITS)) {
        give_up(message, TP_RETRANSMITS);
    } else {
        message->retransmits++;
        message->asked = true;
        clear_block(message);
    }
}

void tp_receiver_packet(uint8_t source, uint8_t destination, const uint8_t *data) {
    free_polled();
    incoming *message = find_open(source, destination);
    if ((message == NULL) || (message->stage == HELD)) {
        return;
    }
    if (data[0] == message->next) {
        take_packet(message, data);
    } else if (data[0] > message->next) {
        take_gap(message);
    } else {
        /* one that is here already */
    }
}

void tp_receiver_abort(uint8_t source, uint32_t pgn) {
    incoming *message = find_open(source, tp_own());
    if ((message != NULL) && (message->pgn == pgn)) {
        tp_failed();
        message->stage = FREE;
    }
}

static void step_message(incoming *message) {
    const uint32_t elapsed_ms = bms_elapsed_ms(tp_now_ms(), message->since_ms);
    if (message->stage == HELD) {
        if (!unread(message->source)) {
            clear_block(message);
        } else if (elapsed_ms >= TP_TH_MS) {
            hold(message);
        } else {
            /* patience */
        }
    } else if (((message->stage == OPENED) && (elapsed_ms > TP_T2_MS)) ||
               ((message->stage == PACKETS) && (elapsed_ms > TP_T1_MS))) {
        give_up(message, TP_TIMEOUT);
    } else {
        /* in time */
    }
}

void tp_receiver_step(void) {
    free_polled();
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        step_message(&receiver.buffer[i]);
    }
}

bool j1939_tp_poll(j1939_message *message) {
    incoming *oldest = NULL;
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        incoming *other = &receiver.buffer[i];
        if ((other->stage == COMPLETE) && ((oldest == NULL) || ((int32_t)(other->order - oldest->order) < 0))) {
            oldest = other;
        }
    }
    if (oldest == NULL) {
        return false;
    }
    oldest->stage = POLLED;
    message->pgn = oldest->pgn;
    message->source = oldest->source;
    message->destination = oldest->destination;
    message->data = oldest->data;
    message->length = oldest->length;
    return true;
}
