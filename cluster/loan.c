/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Its key says who borrows what; the value repeats that for people and says whose block it is of.
 */
#include "cluster/loan.h"

#include <errno.h>
#include <string.h>

#include "cluster/keys.h"
#include "lib/json.h"

static const char *const states[] = {
	[LOAN_ASKED] = "asked",
	[LOAN_REFUSED] = "refused",
	[LOAN_LENT] = "lent",
	[LOAN_USED] = "used",
	[LOAN_QUARANTINED] = "quarantined",
	NULL,
};

const char *loan_state_name(enum loan_state s)
{
	return states[s];
}

static const struct schema_member members[] = {
	{"borrower", &schema_name, SCHEMA_AT(struct loan, borrower), .flags = SCHEMA_REQUIRED},
	{"lender", &schema_name, SCHEMA_AT(struct loan, lender), .flags = SCHEMA_REQUIRED},
	{"state", &schema_word, SCHEMA_AT(struct loan, state), .flags = SCHEMA_REQUIRED,
		.words = states},
	{"instead", &schema_addr, SCHEMA_AT(struct loan, instead)},
	/* For people and for kubectl: the key decides. */
	{.key = "address"},
	{.key = "since"},
	{.key = "nonce"},
};
static const struct schema document = SCHEMA_OF(members);

const struct schema *loan_schema(void)
{
	return &document;
}

int loan_parse(
	const char *key, const char *value, int64_t revision, struct loan *out, struct err *e)
{
	struct loan l = {.revision = revision};
	char shown[128], borrower[RESOURCE_NAME];
	(void)json_clean(shown, sizeof(shown), key);
	if (!keys_parse_loan(key, borrower, &l.addr))
		return err_set(e, EINVAL, "\"%s\" is not the key of a loan", shown);
	int r = schema_parse(&document, value, &l, e);
	if (r == 0 && strcmp(borrower, l.borrower) != 0)
		r = err_set(e, EBADMSG, "borrower is \"%.60s\", which its key does not say",
			l.borrower);
	if (r < 0) {
		err_add(e, "%s", shown);
		return r;
	}
	*out = l;
	return 0;
}
