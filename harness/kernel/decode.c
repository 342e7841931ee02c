/* SPDX-License-Identifier: Apache-2.0
 *
 * decode.c - decodes recorded frames in batch. Frames are first sorted into nodes (a message, or one value of a
 * multiplexer), then each signal of a node is one loop over its frames. Bounds are Python's duty: a signal lies inside
 * its message, a frame of a message is at least as long as the message, and the buffer is as wide.
 */
#include <math.h>
#include <string.h>

#include "kernel.h"

enum { WORD_BITS = 64, FRACTION_BITS = 52, NODE_DUT = 0, NODE_UNKNOWN = 255, UNDECODABLE = 0x8000 };

static uint64_t word_at(const uint8_t *data, int32_t word, int big_endian)
{
    uint64_t bits;
    memcpy(&bits, data + 8 * word, sizeof bits);
    return big_endian ? __builtin_bswap64(bits) : bits;
}

/* The bits of a signal, right-aligned, wherever they lie. */
static uint64_t bits_of(const bh_signal *signal, const uint8_t *data)
{
    int32_t word = signal->first_bit / WORD_BITS;
    int32_t at = signal->first_bit % WORD_BITS;
    int32_t big = signal->kind & BH_SIGNAL_BIG_ENDIAN;
    int32_t beyond = at + signal->length - WORD_BITS;
    uint64_t bits = word_at(data, word, big);
    if (beyond <= 0) {
        return (bits << (big ? at : -beyond)) >> (WORD_BITS - signal->length);
    }
    uint64_t next = word_at(data, word + 1, big);
    if (big) {
        return ((bits << at >> at) << beyond) | (next >> (WORD_BITS - beyond));
    }
    return (bits >> at) | ((next << (WORD_BITS - beyond)) >> (WORD_BITS - signal->length));
}

static int64_t integer_of(const bh_signal *signal, const uint8_t *data)
{
    uint64_t bits = bits_of(signal, data);
    int32_t up = WORD_BITS - signal->length;
    return (signal->kind & BH_SIGNAL_SIGNED) ? (int64_t)(bits << up) >> up : (int64_t)bits;
}

static double number_of(const bh_signal *signal, const uint8_t *data)
{
    if (signal->kind & BH_SIGNAL_FLOAT) {
        uint64_t bits = bits_of(signal, data);
        if (signal->length == 32) {
            uint32_t low = (uint32_t)bits;
            float single;
            memcpy(&single, &low, sizeof single);
            return single;
        }
        double number;
        memcpy(&number, &bits, sizeof number);
        return number;
    }
    if (signal->length == WORD_BITS && !(signal->kind & BH_SIGNAL_SIGNED)) {
        return (double)bits_of(signal, data);
    }
    return (double)integer_of(signal, data);
}

/* ---- sorting ---------------------------------------------------------------------------------------------- */

static int32_t find_extended(const bh_decode_plan *plan, uint32_t id)
{
    int32_t low = 0, high = plan->n_extended;
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (plan->extended_id[middle] < id) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int found = low < plan->n_extended && plan->extended_id[low] == id;
    return found ? plan->extended_message[low] : plan->n_messages;
}

static int32_t message_of(const bh_decode_plan *plan, uint32_t id, uint8_t flags)
{
    if (flags & FIL_FRAME_EXTENDED) {
        return find_extended(plan, id);
    }
    return id < BH_N_STANDARD_IDS ? plan->standard[id] : plan->n_messages;
}

/* Why a frame is not decoded; BH_COUNT_DECODED and its message if it is. */
static int classify(const bh_decode_plan *plan, const bh_decode_frames *frames, int64_t row, int32_t *message)
{
    uint8_t flags = frames->flags[row];
    if (flags & (FIL_FRAME_REMOTE | FIL_FRAME_ERROR)) {
        return (flags & FIL_FRAME_ERROR) ? BH_COUNT_ERROR : BH_COUNT_REMOTE;
    }
    *message = message_of(plan, frames->id[row], flags);
    if (*message == plan->n_messages) {
        return BH_COUNT_UNKNOWN_ID;
    }
    uint8_t node = frames->node[row];
    if (plan->dut_only[*message] && node != NODE_DUT && node != NODE_UNKNOWN) {
        return BH_COUNT_OTHER_NODE;
    }
    int32_t needed = plan->message_length[*message];
    return frames->length[row] < needed || frames->width < needed ? BH_COUNT_WRONG_LENGTH : BH_COUNT_DECODED;
}

/* Give the nodes from first on their places behind used; returns the new end. */
static int64_t place(bh_decode_result *result, int32_t first, int32_t n, int64_t used)
{
    for (int32_t node = first; node < first + n; node++) {
        result->node_start[node] = (int32_t)used;
        used += result->node_count[node];
        result->node_count[node] = 0; /* counts again while the rows are put in */
    }
    return used;
}

static void put(bh_decode_result *result, int32_t node, int32_t row)
{
    result->rows[result->node_start[node] + result->node_count[node]++] = row;
}

static int64_t sort_roots(const bh_decode_plan *plan, const bh_decode_frames *frames, bh_decode_result *result)
{
    for (int64_t row = 0; row < frames->n; row++) {
        int32_t message = plan->n_messages;
        int class = classify(plan, frames, row, &message);
        result->counts[class]++;
        result->message[row] = class == BH_COUNT_DECODED ? (uint16_t)message : (uint16_t)plan->n_messages;
        if (class == BH_COUNT_DECODED) {
            result->node_count[message]++;
        }
    }
    int64_t used = place(result, 0, plan->n_messages, 0);
    if (used > result->max_rows) {
        return -1;
    }
    for (int64_t row = 0; row < frames->n; row++) {
        if (result->message[row] != plan->n_messages) {
            put(result, result->message[row], (int32_t)row);
        }
    }
    return used;
}

/* The node a multiplexer selects, -1 = none. Most count up without gaps, so look there first. */
static int32_t select_node(const bh_decode_plan *plan, const bh_selector *selector, int64_t value)
{
    const int64_t *values = plan->values + selector->first_value;
    int32_t low = 0, high = selector->n_values;
    uint64_t straight = (uint64_t)value - (uint64_t)values[0];
    if (straight < (uint64_t)high && values[straight] == value) {
        return plan->value_node[selector->first_value + (int32_t)straight];
    }
    while (low < high) {
        int32_t middle = low + (high - low) / 2;
        if (values[middle] < value) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    int found = low < selector->n_values && values[low] == value;
    return found ? plan->value_node[selector->first_value + low] : -1;
}

static int64_t sort_below(const bh_decode_plan *plan, const bh_decode_frames *frames, bh_decode_result *result,
                          int32_t node, const bh_selector *selector, int64_t used)
{
    const bh_signal *signal = &plan->signals[selector->signal];
    int32_t n = result->node_count[node];
    for (int32_t i = 0; i < n; i++) {
        int32_t row = result->rows[result->node_start[node] + i];
        int32_t child = select_node(plan, selector, integer_of(signal, frames->data + (int64_t)row * frames->width));
        result->child[i] = child;
        if (child >= 0) {
            result->node_count[child]++;
        } else if (!(result->message[row] & UNDECODABLE)) {
            result->message[row] |= UNDECODABLE;
            result->counts[BH_COUNT_UNDECODABLE]++;
        }
    }
    for (int32_t v = 0; v < selector->n_values; v++) {
        used = place(result, plan->value_node[selector->first_value + v], 1, used);
    }
    if (used > result->max_rows) {
        return -1;
    }
    for (int32_t i = 0; i < n; i++) {
        if (result->child[i] >= 0) {
            put(result, result->child[i], result->rows[result->node_start[node] + i]);
        }
    }
    return used;
}

int64_t bh_decode_sort(const bh_decode_plan *plan, const bh_decode_frames *frames, bh_decode_result *result)
{
    memset(result->counts, 0, sizeof result->counts);
    memset(result->node_count, 0, sizeof *result->node_count * (size_t)plan->n_nodes);
    memset(result->node_start, 0, sizeof *result->node_start * (size_t)plan->n_nodes);
    int64_t used = sort_roots(plan, frames, result);
    int64_t total = 0;
    for (int32_t node = 0; node < plan->n_nodes && used >= 0; node++) {
        const bh_node *plan_node = &plan->nodes[node];
        for (int32_t s = 0; s < plan_node->n_selectors && used >= 0 && result->node_count[node]; s++) {
            const bh_selector *selector = &plan->selectors[plan_node->first_selector + s];
            used = sort_below(plan, frames, result, node, selector, used);
        }
        result->value_start[node] = total;
        total += (int64_t)plan_node->n_signals * result->node_count[node];
    }
    return used < 0 ? used : total;
}

/* ---- values ----------------------------------------------------------------------------------------------- */

/* A whole number below 2^52 in the fraction of 2^52 is 2^52 more than itself: exact, and vector code unlike a conversion
 * of 64 bits. flip moves signed numbers up to where they are not negative, bias takes that back. */
static inline double number_in_fraction(uint64_t raw, uint64_t flip, double bias)
{
    uint64_t bits = (raw ^ flip) | 0x4330000000000000ULL;
    double number;
    memcpy(&number, &bits, sizeof number);
    return number - bias;
}

static void decode_words(const bh_signal *signal, const uint64_t *restrict words, int32_t n, double *restrict values)
{
    int32_t at = signal->first_bit % WORD_BITS;
    int32_t up = (signal->kind & BH_SIGNAL_BIG_ENDIAN) ? at : WORD_BITS - at - signal->length;
    int32_t down = WORD_BITS - signal->length;
    int32_t is_signed = signal->kind & BH_SIGNAL_SIGNED;
    double scale = signal->scale, offset = signal->offset;
    if (signal->length < FRACTION_BITS) {
        uint64_t flip = is_signed ? 1ULL << (signal->length - 1) : 0;
        double bias = 0x1p52 + (double)flip;
        for (int32_t i = 0; i < n; i++) {
            values[i] = number_in_fraction((words[i] << up) >> down, flip, bias) * scale + offset;
        }
        return;
    }
    for (int32_t i = 0; i < n; i++) {
        uint64_t bits = words[i] << up;
        int64_t raw = is_signed ? (int64_t)bits >> down : (int64_t)(bits >> down);
        values[i] = (double)raw * scale + offset;
    }
}

static int in_first_word(const bh_signal *signal)
{
    int whole = signal->length == WORD_BITS && !(signal->kind & BH_SIGNAL_SIGNED);
    return signal->first_bit + signal->length <= WORD_BITS && !whole && !(signal->kind & BH_SIGNAL_FLOAT);
}

static void decode_node(const bh_decode_plan *plan, const bh_decode_frames *frames, const bh_decode_result *result,
                        int32_t node, double *values)
{
    const bh_node *plan_node = &plan->nodes[node];
    const int32_t *rows = result->rows + result->node_start[node];
    int32_t n = result->node_count[node];
    uint64_t *little = result->words, *big = result->words + frames->n;
    for (int32_t i = 0; i < n; i++) {
        little[i] = word_at(frames->data + (int64_t)rows[i] * frames->width, 0, 0);
        big[i] = __builtin_bswap64(little[i]);
    }
    for (int32_t s = 0; s < plan_node->n_signals; s++, values += n) {
        const bh_signal *signal = &plan->signals[plan_node->first_signal + s];
        if (in_first_word(signal)) {
            decode_words(signal, (signal->kind & BH_SIGNAL_BIG_ENDIAN) ? big : little, n, values);
            continue;
        }
        for (int32_t i = 0; i < n; i++) {
            const uint8_t *data = frames->data + (int64_t)rows[i] * frames->width;
            values[i] = number_of(signal, data) * signal->scale + signal->offset;
        }
    }
}

void bh_decode_values(
    const bh_decode_plan *plan, const bh_decode_frames *frames, const bh_decode_result *result, double *values)
{
    for (int32_t node = 0; node < plan->n_nodes; node++) {
        if (result->node_count[node]) {
            decode_node(plan, frames, result, node, values + result->value_start[node]);
        }
    }
}

enum { LANES = 4 };

/* Lanes do not wait for each other's comparison. NAN is neither less nor greater. */
static void extremes_of(const double *values, int32_t n, double *least, double *greatest)
{
    double low[LANES], high[LANES];
    int unknown = n == 0;
    int32_t i = 0;
    for (int lane = 0; lane < LANES; lane++) {
        low[lane] = HUGE_VAL;
        high[lane] = -HUGE_VAL;
    }
    for (; i + LANES <= n; i += LANES) {
        for (int lane = 0; lane < LANES; lane++) {
            double value = values[i + lane];
            low[lane] = value < low[lane] ? value : low[lane];
            high[lane] = value > high[lane] ? value : high[lane];
            unknown |= value != value;
        }
    }
    for (; i < n; i++) {
        low[0] = values[i] < low[0] ? values[i] : low[0];
        high[0] = values[i] > high[0] ? values[i] : high[0];
        unknown |= values[i] != values[i];
    }
    for (int lane = 1; lane < LANES; lane++) {
        low[0] = low[lane] < low[0] ? low[lane] : low[0];
        high[0] = high[lane] > high[0] ? high[lane] : high[0];
    }
    *least = unknown ? (double)NAN : low[0];
    *greatest = unknown ? (double)NAN : high[0];
}

void bh_decode_extremes(const bh_decode_plan *plan, const int32_t *node_count, const int64_t *value_start,
                        const double *values, const int32_t *nodes, int32_t n_nodes, double *least, double *greatest)
{
    for (int32_t i = 0; i < n_nodes; i++) {
        const bh_node *node = &plan->nodes[nodes[i]];
        const int32_t n = node_count[nodes[i]];
        const double *series = values + value_start[nodes[i]];
        for (int32_t s = node->first_signal; s < node->first_signal + node->n_signals; s++, series += n) {
            extremes_of(series, n, &least[s], &greatest[s]);
        }
    }
}

/* ---- protection ------------------------------------------------------------------------------------------- */

static int crc_fits(const uint8_t *payload, const bh_crc8 *crc)
{
    uint8_t sum = crc->initial;
    for (int32_t at = 0; at < crc->length; at++) {
        sum = at == crc->position ? sum : crc->table[sum ^ payload[at]];
    }
    return payload[crc->position] == (uint8_t)(sum ^ crc->final_xor);
}

void bh_decode_crc8(const bh_decode_frames *frames, const int32_t *rows, int32_t n, const bh_crc8 *crc, uint8_t *fits)
{
    for (int32_t i = 0; i < n; i++) {
        fits[i] = (uint8_t)crc_fits(frames->data + (int64_t)rows[i] * frames->width, crc);
    }
}

int bh_decode_unbroken(const bh_decode_frames *frames, const int32_t *rows, int32_t n, int32_t length, uint8_t flags,
                       const bh_crc8 *crc, const bh_counter *counter)
{
    int64_t last = -1;
    for (int32_t i = 0; i < n; i++) {
        const uint8_t *payload = frames->data + (int64_t)rows[i] * frames->width;
        if ((frames->flags[rows[i]] & flags) != 0 || frames->length[rows[i]] != length ||
            (crc != NULL && !crc_fits(payload, crc))) {
            return 0;
        }
        if (counter != NULL) {
            const uint64_t bits = word_at(payload, 0, 0) >> counter->start_bit;
            const int64_t now = (int64_t)(bits & ((1ULL << counter->length) - 1));
            if (now > counter->max || (last >= 0 && now != (last == counter->max ? 0 : last + 1))) {
                return 0;
            }
            last = now;
        }
    }
    return 1;
}
