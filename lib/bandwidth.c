/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A burst that is not said is what the rate sends in 100 ms. Container runtimes have to say one and know none:
 * they send the largest number of 32 bits, with or without a sign, which would let half a gigabyte pass before
 * the limit is felt; that, too, counts as not said. No burst is below 64 KiB, the largest packet that a pod's
 * kernel hands over at once; a smaller one would be dropped for ever.
 */
#include "lib/bandwidth.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json.h"
#include "lib/text.h"

#define BURST_UNSAID INT32_MAX /* bits; from here on */
#define BURST_MIN UINT64_C(65536)
#define BURST_PER_S 10
#define SHOWN 64

static struct bandwidth bandwidth_of(uint64_t rate, uint64_t burst_bits)
{
	uint64_t burst = burst_bits / 8;
	if (!burst_bits || burst_bits >= BURST_UNSAID)
		burst = rate / 8 / BURST_PER_S;
	if (burst < BURST_MIN)
		burst = BURST_MIN;
	if (burst > INT32_MAX)
		burst = INT32_MAX;
	return (struct bandwidth){.rate = rate, .burst = rate ? (uint32_t)burst : 0};
}

static int bandwidth_bounds(const char *key, uint64_t rate, struct err *e)
{
	if (rate < BANDWIDTH_MIN || rate > BANDWIDTH_MAX)
		return err_set(e, EINVAL,
			"%s: %llu bits a second is not from 1000 (1k) to 10^15 (1P)", key,
			(unsigned long long)rate);
	return 0;
}

/* 1: it is there. */
static int bandwidth_number(
	const json_t *object, const char *where, const char *key, uint64_t *out, struct err *e)
{
	const json_t *value = json_get_folded(object, key);
	*out = 0;
	if (!value)
		return 0;
	if (!json_is_integer(value))
		return err_set(e, EBADMSG, "%s%s%s must be a whole number of bits", where,
			*where ? "." : "", key);
	if (json_integer_value(value) < 0)
		return err_set(e, EINVAL, "%s%s%s is %lld, less than 0", where, *where ? "." : "",
			key, (long long)json_integer_value(value));
	*out = (uint64_t)json_integer_value(value);
	return 1;
}

static int bandwidth_direction(const json_t *object, const char *where, const char *word,
	struct bandwidth *out, struct err *e)
{
	char key[32], name[64];
	uint64_t rate, burst;
	(void)snprintf(key, sizeof(key), "%sRate", word);
	(void)snprintf(name, sizeof(name), "%s%s%s", where, *where ? "." : "", key);
	int has_rate = bandwidth_number(object, where, key, &rate, e);
	(void)snprintf(key, sizeof(key), "%sBurst", word);
	int has_burst = has_rate < 0 ? has_rate : bandwidth_number(object, where, key, &burst, e);
	if (has_burst < 0)
		return has_burst;
	if (!rate && burst && burst < BURST_UNSAID)
		return err_set(e, EINVAL, "%s is missing beside %sBurst", name, word);
	int r = rate ? bandwidth_bounds(name, rate, e) : 0;
	if (r < 0)
		return r;
	*out = bandwidth_of(rate, burst);
	return has_rate || has_burst;
}

int bandwidth_read(const json_t *object, const char *where, struct bandwidths *out, struct err *e)
{
	struct bandwidths b = {0};
	int ingress = bandwidth_direction(object, where, "ingress", &b.ingress, e);
	int egress =
		ingress < 0 ? ingress : bandwidth_direction(object, where, "egress", &b.egress, e);
	if (egress < 0)
		return egress;
	*out = b;
	return ingress || egress;
}

/* What a suffix multiplies with; 0: it is none. */
static double bandwidth_suffix(const char *text)
{
	static const struct {
		const char *text;
		double factor;
	} suffixes[] = {{"", 1}, {"m", 1e-3}, {"k", 1e3}, {"M", 1e6}, {"G", 1e9}, {"T", 1e12},
		{"P", 1e15}, {"Ki", 1024.0}, {"Mi", 1048576.0}, {"Gi", 1073741824.0},
		{"Ti", 1099511627776.0}, {"Pi", 1125899906842624.0}};
	for (size_t i = 0; i < sizeof(suffixes) / sizeof(*suffixes); i++)
		if (strcmp(text, suffixes[i].text) == 0)
			return suffixes[i].factor;
	return 0;
}

int bandwidth_parse(const char *key, const char *text, struct bandwidth *out, struct err *e)
{
	char *end = NULL;
	char shown[SHOWN];
	bool number = isdigit((unsigned char)*text) &&
		      strspn(text, "0123456789.eE+-kKMGTPim") == strlen(text);
	double value = number ? strtod(text, &end) : 0;
	double factor = number ? bandwidth_suffix(end) : 0;
	(void)text_clean(shown, sizeof(shown), text);
	if (factor == 0)
		return err_set(e, EINVAL,
			"annotation %s: \"%s\" is not a quantity of bits a second (10M, 1G)", key,
			shown);
	value *= factor;
	if (!(value >= (double)BANDWIDTH_MIN && value <= (double)BANDWIDTH_MAX))
		return err_set(e, EINVAL,
			"annotation %s: \"%s\" is not from 1k to 1P bits a second", key, shown);
	*out = bandwidth_of((uint64_t)value, 0);
	return 0;
}
