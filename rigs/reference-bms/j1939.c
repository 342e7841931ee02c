/* SPDX-License-Identifier: Apache-2.0
 *
 * j1939.c - the controller as a node of a J1939 network: address claim and requests.
 */
#include "j1939.h"

#include "can_queue.h"
#include "defect.h"
#include "hvess.h"
#include "j1939_dm.h"
#include "j1939_node.h"
#include "j1939_tp.h"
#include "params.h"

#include <string.h>

#define PGN_ACKNOWLEDGE 0xE800U
#define PGN_REQUEST 0xEA00U
#define PGN_CLAIM 0xEE00U
#define PRIORITY 6U
#define REQUEST_BYTES 3U
#define NAME_BYTES 8U
#define LEAST_ROOM 8U  /* frames left for the messages with 11-bit identifiers */
#define CLAIM_MS 250U  /* from the claim until other messages */
#define REQUESTS 8U    /* taken in one step */

/* 64 bits, the least byte first: identity 1, manufacturer 2047 (none), function 255, construction equipment, fixed
 * address. All numbers are our own. */
static const uint8_t own_name[NAME_BYTES] = {0x01U, 0x00U, 0xE0U, 0xFFU, 0x00U, 0xFFU, 0x00U, 0x30U};

typedef struct {
    uint32_t pgn;
    uint8_t source;
    bool global;
} request;

static struct {
    request queue[REQUESTS];
    uint32_t requests;
    uint32_t claim_ms;
    bool on;
    bool claim; /* to be sent */
    bool claimed;
    bool settled; /* the address is ours: others have had time to object */
    bool lost; /* the address, to a node of greater right */
} node;

static uint8_t own_address(void) {
    return (uint8_t)params->j1939_address;
}

void j1939_init(void) {
    (void)memset(&node, 0, sizeof node);
    node.on = params->j1939 != 0;
    node.claim = true;
    j1939_tp_init(node.on ? own_address() : (uint8_t)J1939_NULL);
    dm_init();
}

bool j1939_send(uint32_t pgn, uint8_t priority, const uint8_t *data, uint32_t length) {
    uint8_t bytes[CAN_DATA_BYTES];
    if (can_queue_room() <= LEAST_ROOM) {
        return false;
    }
    (void)memset(bytes, 0xFF, sizeof bytes);
    (void)memcpy(bytes, data, length);
    can_queue_put_extended(j1939_id(priority, pgn, J1939_GLOBAL, own_address()), bytes, CAN_DATA_BYTES);
    return true;
}

void j1939_acknowledge(uint32_t pgn, uint8_t requester, bool positive) {
    if (requester == J1939_GLOBAL) {
        return;
    }
    const uint8_t data[CAN_DATA_BYTES] = {positive ? 0U : 1U, 0xFFU, 0xFFU, 0xFFU, requester,
                                          (uint8_t)pgn, (uint8_t)(pgn >> 8U), (uint8_t)(pgn >> 16U)};
    (void)j1939_send(PGN_ACKNOWLEDGE, PRIORITY, data, sizeof data);
}

static void send_claim(void) {
    const uint8_t from = node.lost ? (uint8_t)J1939_NULL : own_address();
    can_queue_put_extended(j1939_id(PRIORITY, PGN_CLAIM, J1939_GLOBAL, from), own_name, NAME_BYTES);
}

/* Another node claims the own address: the smaller name keeps it. */
static void contend(const uint8_t *name) {
    for (uint32_t i = NAME_BYTES; i > 0U; i--) {
        if (name[i - 1U] != own_name[i - 1U]) {
            node.lost = node.lost || (name[i - 1U] < own_name[i - 1U]);
            break;
        }
    }
    node.claim = true;
    if (node.lost) {
        j1939_tp_init((uint8_t)J1939_NULL);
    }
}

static void take_request(uint8_t source, uint8_t destination, const uint8_t *data) {
    if (node.requests < REQUESTS) {
        request *next = &node.queue[node.requests];
        next->pgn = (uint32_t)data[0] | ((uint32_t)data[1] << 8U) | ((uint32_t)data[2] << 16U);
        next->source = source;
        next->global = destination == J1939_GLOBAL;
        node.requests++;
    }
}

bool j1939_push(uint32_t id, uint32_t length, const uint8_t *data) {
    const uint32_t group = (id >> 8U) & 0x3FF00U; /* of an addressed message */
    const uint8_t destination = (uint8_t)(id >> 8U);
    if (j1939_tp_push(id, length, data)) {
        return true;
    }
    if (!node.on) {
        return false;
    }
    const bool for_us = (destination == own_address()) || ((destination == J1939_GLOBAL) && !DEFECT(244));
    if ((group == PGN_REQUEST) && (length == REQUEST_BYTES) && for_us) {
        take_request((uint8_t)id, destination, data);
    }
    if ((group == PGN_CLAIM) && (length == NAME_BYTES) && ((uint8_t)id == own_address())) {
        contend(data);
    }
    return true;
}

static void answer(const request *asked) {
    if (asked->pgn == PGN_CLAIM) {
        node.claim = true;
    } else if (!node.lost) {
        const uint8_t requester = asked->global ? (uint8_t)J1939_GLOBAL : asked->source;
        if (!dm_request(asked->pgn, requester)) {
            j1939_acknowledge(asked->pgn, requester, false);
        }
    } else {
        /* without an address there is no answer */
    }
}

static void answer_all(void) {
    for (uint32_t i = 0U; i < node.requests; i++) {
        answer(&node.queue[i]);
    }
    node.requests = 0U;
}

/* No long message is of use to this node, but who sends one must not wait for its reader. */
static void discard_messages(void) {
    j1939_message unread;
    while (j1939_tp_poll(&unread)) {
        /* nothing to do with it */
    }
}

/* Whether the address is ours and has been for long enough. */
static bool speaking(uint32_t now_ms) {
    if (node.claim) {
        send_claim();
        node.claim_ms = node.claimed ? node.claim_ms : now_ms;
        node.claimed = true;
        node.claim = false;
    }
    node.settled = node.settled || (bms_elapsed_ms(now_ms, node.claim_ms) >= CLAIM_MS);
    return node.settled && !node.lost;
}

void j1939_step(uint32_t now_ms, uint32_t slot, bool online) {
    if (!node.on) {
        return;
    }
    if (!online) {
        j1939_tp_reset();
        dm_silence();
        node.requests = 0U;
        return;
    }
    answer_all();
    discard_messages();
    if (speaking(now_ms)) {
        hvess_step(slot);
        dm_step(now_ms);
    }
    j1939_tp_step(now_ms);
}

bool j1939_busy(void) {
    const bool settling = !node.settled && !node.lost;
    return j1939_tp_busy() || (node.on && (settling || node.claim || (node.requests > 0U)));
}

void j1939_pass(uint32_t ms) {
    dm_pass(ms);
}
