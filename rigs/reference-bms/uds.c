/* SPDX-License-Identifier: Apache-2.0
 *
 * uds.c - diagnostic services of ISO 14229-1: what may be asked for, in which session, and the answer.
 */
#include "uds.h"

#include "contactor.h"
#include "defect.h"
#include "dtc.h"
#include "faults.h"
#include "isotp.h"
#include "params.h"
#include "uds_read.h"

#include <string.h>

enum {
    SERVICE_SESSION = 0x10,
    SERVICE_RESET = 0x11,
    SERVICE_CLEAR = 0x14,
    SERVICE_CODES = 0x19,
    SERVICE_READ = 0x22,
    SERVICE_PRESENT = 0x3E
};

enum {
    REFUSED_SERVICE = 0x11,
    REFUSED_SUBFUNCTION = 0x12,
    REFUSED_LENGTH = 0x13,
    REFUSED_CONDITIONS = 0x22,
    REFUSED_RANGE = 0x31,
    REFUSED_SESSION = 0x7F
};

enum { SESSION_DEFAULT = 0x01, SESSION_EXTENDED = 0x03 };
enum { RESET_HARD = 0x01, RESET_SOFT = 0x03 };
enum { CODES_COUNT = 0x01, CODES_BY_STATUS = 0x02, CODES_SUPPORTED = 0x0A };

#define POSITIVE 0x40U /* added to the service in its answer */
#define NEGATIVE 0x7FU
#define SILENT 0x80U /* bit of a sub-function: no positive answer wanted */
#define ALL_CODES 0xFFFFFFU
#define FORMAT_14229 0x01U
#define P2_MS 50U
#define P2_EXTENDED_10MS 500U
#define IDENTIFIERS_MAX 8U /* in one request */

static struct {
    uint8_t session;
    uint32_t heard_ms; /* end of the last request, from which the session's time counts */
    bool reset;
    uint8_t answer[ISOTP_MAX];
    uint32_t length; /* of the answer, 0 = none */
} uds;

void uds_init(uint32_t now_ms) {
    (void)memset(&uds, 0, sizeof uds);
    uds.session = SESSION_DEFAULT;
    uds.heard_ms = now_ms;
    isotp_init();
}

bool uds_push(uint32_t id, uint32_t length, const uint8_t *data) {
    const bool own = (params->uds != 0) && (id == ISOTP_ID_REQUEST);
    if (own) {
        isotp_push(length, data);
    }
    return own;
}

/* ---- answers ---------------------------------------------------------------------------------------------- */

static void add(uint32_t value, uint32_t bytes) {
    for (uint32_t i = bytes; i > 0U; i--) {
        uds.answer[uds.length] = (uint8_t)(value >> (8U * (i - 1U)));
        uds.length++;
    }
}

static void refuse(uint8_t service, uint8_t reason) {
    uds.length = 0U;
    add(NEGATIVE, 1U);
    add(service, 1U);
    add(reason, 1U);
}

static void accept(uint8_t service) {
    uds.length = 0U;
    add(service + POSITIVE, 1U);
}

/* ---- services --------------------------------------------------------------------------------------------- */

static void change_session(const uint8_t *request) {
    const uint8_t wanted = request[1] & (uint8_t)~SILENT;
    if ((wanted != (uint8_t)SESSION_DEFAULT) && (wanted != (uint8_t)SESSION_EXTENDED)) {
        refuse(SERVICE_SESSION, REFUSED_SUBFUNCTION);
        return;
    }
    if (!(DEFECT(403) && ((request[1] & SILENT) != 0U))) {
        uds.session = wanted;
    }
    accept(SERVICE_SESSION);
    add(wanted, 1U);
    if (DEFECT(400)) {
        return;
    }
    add(P2_MS, 2U);
    add(P2_EXTENDED_10MS, 2U);
}

/* Not with a contactor commanded closed: a controller that restarts opens it under load. */
static void ask_reset(const uint8_t *request) {
    const uint8_t kind = request[1] & (uint8_t)~SILENT;
    const bool closed = contactor_commanded(CONTACTOR_POSITIVE) || contactor_commanded(CONTACTOR_NEGATIVE);
    if ((kind != (uint8_t)RESET_HARD) && (kind != (uint8_t)RESET_SOFT)) {
        refuse(SERVICE_RESET, REFUSED_SUBFUNCTION);
    } else if (uds.session == (uint8_t)SESSION_DEFAULT) {
        refuse(SERVICE_RESET, REFUSED_SESSION);
    } else if (closed && !DEFECT(261)) {
        refuse(SERVICE_RESET, REFUSED_CONDITIONS);
    } else {
        uds.reset = !DEFECT(260);
        accept(SERVICE_RESET);
        add(kind, 1U);
    }
}

static bool clear_group(uint32_t group) {
    bool known = (group == ALL_CODES) || DEFECT(413);
    for (uint32_t fault = 0U; fault < (uint32_t)FAULT_COUNT; fault++) {
        if ((group == ALL_CODES) || (group == dtc_number(fault)) || DEFECT(410)) {
            if (!DEFECT(256)) {
                dtc_clear(fault);
            }
            known = true;
        }
    }
    return known;
}

static void clear_codes(const uint8_t *request) {
    const uint32_t group = ((uint32_t)request[1] << 16U) | ((uint32_t)request[2] << 8U) | request[3];
    if (clear_group(group)) {
        accept(SERVICE_CLEAR);
    } else {
        refuse(SERVICE_CLEAR, REFUSED_RANGE);
    }
}

static void report_codes(const uint8_t *request, uint32_t length) {
    const uint8_t kind = request[1];
    const uint32_t expected = (kind == (uint8_t)CODES_SUPPORTED) ? 2U : 3U;
    if ((kind != (uint8_t)CODES_COUNT) && (kind != (uint8_t)CODES_BY_STATUS) && (kind != (uint8_t)CODES_SUPPORTED)) {
        refuse(SERVICE_CODES, REFUSED_SUBFUNCTION);
        return;
    }
    if (length != expected) {
        refuse(SERVICE_CODES, REFUSED_LENGTH);
        return;
    }
    accept(SERVICE_CODES);
    add(kind, 1U);
    add(DTC_AVAILABLE, 1U);
    if (kind == (uint8_t)CODES_COUNT) {
        add(FORMAT_14229, 1U);
        add(uds_count_codes(request[2]), 2U);
    } else {
        const bool all = (kind == (uint8_t)CODES_SUPPORTED) && !DEFECT(405);
        uds.length += uds_list_codes(request[2], all, &uds.answer[uds.length]);
    }
}

/* Those of several identifiers that are known. */
static void read_identifiers(const uint8_t *request, uint32_t length) {
    accept(SERVICE_READ);
    for (uint32_t at = 1U; at < length; at += 2U) {
        const uint32_t identifier = ((uint32_t)request[at] << 8U) | request[at + 1U];
        uint8_t value[UDS_IDENTIFIER_MAX];
        const uint32_t bytes = uds_read_identifier(identifier, uds.session, value);
        if ((bytes > 0U) && !(DEFECT(401) && (uds.length > 1U))) {
            add(identifier, 2U);
            (void)memcpy(&uds.answer[uds.length], value, bytes);
            uds.length += bytes;
        }
    }
    if (uds.length == 1U) {
        refuse(SERVICE_READ, REFUSED_RANGE);
    }
}

static void tester_present(const uint8_t *request) {
    if ((request[1] & (uint8_t)(DEFECT(404) ? 0xFFU : (uint8_t)~SILENT)) != 0U) {
        refuse(SERVICE_PRESENT, REFUSED_SUBFUNCTION);
        return;
    }
    accept(SERVICE_PRESENT);
    add(0U, 1U);
}

/* ---- dispatch --------------------------------------------------------------------------------------------- */

/* Whether a request of this service may have this length. */
static bool length_fits(uint8_t service, uint32_t length) {
    switch (service) {
    case SERVICE_CLEAR:
        return (length == 4U) || DEFECT(254);
    case SERVICE_CODES:
        return length >= 2U; /* the rest depends on the sub-function */
    case SERVICE_READ:
        return ((length % 2U) == 1U) && (length >= 3U) && (length <= (1U + (2U * IDENTIFIERS_MAX)));
    default:
        return length == 2U;
    }
}

static bool known_service(uint8_t service) {
    return (service == (uint8_t)SERVICE_SESSION) || (service == (uint8_t)SERVICE_RESET) ||
           (service == (uint8_t)SERVICE_CLEAR) || (service == (uint8_t)SERVICE_CODES) ||
           (service == (uint8_t)SERVICE_READ) || (service == (uint8_t)SERVICE_PRESENT);
}

static void serve(const uint8_t *request, uint32_t length) {
    switch (request[0]) {
    case SERVICE_SESSION:
        change_session(request);
        break;
    case SERVICE_RESET:
        ask_reset(request);
        break;
    case SERVICE_CLEAR:
        clear_codes(request);
        break;
    case SERVICE_CODES:
        report_codes(request, length);
        break;
    case SERVICE_READ:
        read_identifiers(request, length);
        break;
    default:
        tester_present(request);
        break;
    }
}

static bool wants_silence(const uint8_t *request) {
    const uint8_t service = request[0];
    const bool has_subfunction = (service == (uint8_t)SERVICE_SESSION) || (service == (uint8_t)SERVICE_RESET) ||
                                 (service == (uint8_t)SERVICE_PRESENT);
    return has_subfunction && ((request[1] & SILENT) != 0U) && !DEFECT(402);
}

static void answer(uint32_t now_ms, const uint8_t *request, uint32_t length) {
    const uint8_t service = request[0];
    uds.length = 0U;
    if (!known_service(service)) {
        refuse(service, REFUSED_SERVICE);
    } else if (!length_fits(service, length)) {
        refuse(service, REFUSED_LENGTH);
    } else {
        serve(request, length);
    }
    const bool positive = uds.answer[0] != NEGATIVE;
    if (!(positive && wants_silence(request)) && !(DEFECT(265) && !positive)) {
        isotp_send(now_ms, uds.answer, uds.length);
    }
}

void uds_step(uint32_t now_ms) {
    const uint8_t *request = NULL;
    if (params->uds == 0) {
        return;
    }
    const bool over = bms_elapsed_ms(now_ms, uds.heard_ms) >= (uint32_t)params->uds_s3_ms;
    if (over && !DEFECT(255)) {
        uds.session = SESSION_DEFAULT;
    }
    const uint32_t length = isotp_step(now_ms, &request);
    if (length > 0U) {
        answer(now_ms, request, length);
        if (!(DEFECT(266) && (request[0] == (uint8_t)SERVICE_PRESENT))) {
            uds.heard_ms = now_ms;
        }
    }
}

bool uds_take_reset(void) {
    const bool reset = uds.reset;
    uds.reset = false;
    return reset;
}

bool uds_busy(void) {
    return uds.reset || (uds.session != SESSION_DEFAULT) || isotp_busy();
}
