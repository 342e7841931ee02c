/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939_tp_send.c - the sending side: one packet in a step, so that a long message does not crowd out the others.
 */
#include "can_queue.h"
#include "j1939_tp_parts.h"

#include <string.h>

#define BUFFERS 4U

typedef enum {
    FREE = 0,
    WAITING,   /* for a message to the same destination before it */
    BROADCAST, /* packets of a BAM */
    REQUESTED, /* RTS sent, or all packets allowed: waits for CTS or the end of message */
    HELD,      /* the receiver asked for patience */
    PACKETS    /* cleared to send */
} stage;

typedef struct {
    stage stage;
    uint32_t order;
    uint32_t since_ms;
    uint32_t pgn;
    uint32_t length;
    uint32_t next; /* packet, from 1 */
    uint32_t last; /* packet cleared */
    uint8_t destination;
    uint8_t priority;
    uint8_t data[J1939_TP_MOST];
} outgoing;

static struct {
    outgoing buffer[BUFFERS];
    uint32_t order;
} sender;

void tp_sender_reset(void) {
    (void)memset(&sender, 0, sizeof sender);
}

static void enter(outgoing *message, stage next) {
    message->stage = next;
    message->since_ms = tp_now_ms();
}

static outgoing *free_buffer(void) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        if (sender.buffer[i].stage == FREE) {
            return &sender.buffer[i];
        }
    }
    return NULL;
}

bool j1939_tp_send(uint32_t pgn, uint8_t destination, uint8_t priority, const uint8_t *data, uint32_t length) {
    outgoing *message = free_buffer();
    if ((message == NULL) || (length < J1939_TP_LEAST) || (length > J1939_TP_MOST)) {
        return false;
    }
    message->order = sender.order;
    sender.order++;
    message->pgn = pgn;
    message->destination = destination;
    message->priority = priority;
    message->length = length;
    message->next = 1U;
    message->last = 0U;
    (void)memcpy(message->data, data, length);
    enter(message, WAITING);
    return true;
}

bool j1939_tp_sending(uint32_t pgn) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        if ((sender.buffer[i].stage != FREE) && (sender.buffer[i].pgn == pgn)) {
            return true;
        }
    }
    return false;
}

bool tp_sender_busy(void) {
    bool busy = false;
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        busy = busy || (sender.buffer[i].stage != FREE);
    }
    return busy;
}

/* Nothing to the same destination is under way, and nothing was given before it. */
static bool first_in_line(const outgoing *message) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        const outgoing *other = &sender.buffer[i];
        const bool before = (other->stage != WAITING) || ((int32_t)(other->order - message->order) < 0);
        if ((other != message) && (other->stage != FREE) && (other->destination == message->destination) && before) {
            return false;
        }
    }
    return true;
}

static void start(outgoing *message) {
    const bool global = message->destination == J1939_GLOBAL;
    const uint8_t head[TP_HEAD_BYTES] = {(uint8_t)(global ? TP_BAM : TP_RTS), (uint8_t)message->length,
                                         (uint8_t)(message->length >> 8U), (uint8_t)tp_packets(message->length), 0xFFU};
    tp_put_connection(message->priority, message->destination, head, message->pgn);
    enter(message, global ? BROADCAST : REQUESTED);
}

static void put_next(outgoing *message) {
    const uint32_t number = message->next;
    tp_put_packet(message->priority, message->destination, (uint8_t)number,
                  &message->data[(number - 1U) * TP_PACKET_BYTES], tp_packet_bytes(message->length, number));
    message->next++;
    message->since_ms = tp_now_ms();
}

static void give_up(outgoing *message) {
    tp_put_abort(message->destination, TP_TIMEOUT, message->pgn);
    tp_failed();
    message->stage = FREE;
}

static void step_packets(outgoing *message) {
    put_next(message);
    if (message->next > message->last) {
        enter(message, REQUESTED);
    }
}

static void step_message(outgoing *message) {
    const uint32_t elapsed_ms = bms_elapsed_ms(tp_now_ms(), message->since_ms);
    switch (message->stage) {
    case WAITING:
        if (first_in_line(message)) {
            start(message);
        }
        break;
    case BROADCAST:
        if (elapsed_ms >= TP_GAP_MS) {
            put_next(message);
            message->stage = (message->next > tp_packets(message->length)) ? FREE : BROADCAST;
        }
        break;
    case PACKETS:
        step_packets(message);
        break;
    case REQUESTED:
        if (elapsed_ms > TP_T3_MS) {
            give_up(message);
        }
        break;
    case HELD:
        if (elapsed_ms > TP_T4_MS) {
            give_up(message);
        }
        break;
    default:
        break;
    }
}

void tp_sender_step(void) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        step_message(&sender.buffer[i]);
    }
}

/* The message under way to a destination. */
static outgoing *under_way(uint8_t destination, uint32_t pgn) {
    for (uint32_t i = 0U; i < BUFFERS; i++) {
        outgoing *message = &sender.buffer[i];
        const bool addressed = (message->stage == REQUESTED) || (message->stage == HELD) || (message->stage == PACKETS);
        if (addressed && (message->destination == destination) && (message->pgn == pgn)) {
            return message;
        }
    }
    return NULL;
}

/* A receiver may ask for packets again that were sent before. */
static void clear_to_send(outgoing *message, uint32_t count, uint32_t from) {
    const uint32_t total = tp_packets(message->length);
    if (count == 0U) {
        enter(message, HELD);
        return;
    }
    if ((from == 0U) || (from > total)) {
        return;
    }
    message->next = from;
    message->last = ((from + count - 1U) < total) ? (from + count - 1U) : total;
    enter(message, PACKETS);
}

void tp_sender_answer(uint8_t source, const uint8_t *data, uint32_t pgn) {
    outgoing *message = under_way(source, pgn);
    if (message == NULL) {
        return;
    }
    if (data[0] == (uint8_t)TP_CTS) {
        clear_to_send(message, data[1], data[2]);
    } else if (message->next > tp_packets(message->length)) {
        message->stage = FREE;
    } else {
        /* acknowledged before everything was sent: not of this message */
    }
}

void tp_sender_abort(uint8_t source, uint32_t pgn) {
    outgoing *message = under_way(source, pgn);
    if (message != NULL) {
        tp_failed();
        message->stage = FREE;
    }
}
