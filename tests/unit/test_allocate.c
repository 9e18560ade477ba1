/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Addresses of load balancers: what a Service asks for, who gets which address, and what always holds
 * however services come, go and change (a walk of many random steps).
 */
#include "tests/unit/values.h"

#include "agent/services/allocate.h"
#include "lib/json.h"
#include "lib/mem.h"
#include "lib/text.h"

#define MOST 64

struct world {
	struct demand demands[MOST];
	const struct demand *all[MOST];
	size_t n;
	struct allocate_pool pools[4];
	size_t n_pools;
	struct cidr reserved[2];
	size_t n_reserved;
};

static void add_pool(struct world *w, const char *name, const char *prefix, const char *how)
{
	struct allocate_pool *p = &w->pools[w->n_pools++];
	*p = (struct allocate_pool){.cidr = cidr(prefix),
		.disabled = strcmp(how, "disabled") == 0,
		.manual = strcmp(how, "manual") == 0};
	(void)text_copy(p->name, sizeof(p->name), name);
}

/* The service of that number, made at that minute; notes: annotations, spec: what follows its ports. */
static void add_service(
	struct world *w, const char *name, const char *notes, const char *spec, const char *ingress)
{
	CLEANUP_TEXT struct text doc = {0};
	text_add(&doc,
		"{\"metadata\":{\"namespace\":\"d\",\"name\":\"%s\",\"uid\":\"u-%s\","
		"\"resourceVersion\":\"7\",\"creationTimestamp\":\"2026-01-01T00:%02zu:00Z\","
		"\"annotations\":{%s}},\"spec\":{\"type\":\"LoadBalancer\","
		"\"loadBalancerClass\":\"roost.io/bgp\",\"selector\":{\"app\":\"%c\"},%s},"
		"\"status\":{\"loadBalancer\":{\"ingress\":[%s]}}}",
		name, name, w->n, notes, *name, spec, ingress);
	CLEANUP_JSON json_t *object = json_of(doc.buf);
	assert_true(demand_read(object, false, &w->demands[w->n]));
	w->all[w->n] = &w->demands[w->n];
	w->n++;
}

static struct allocation *allocations_of(const struct world *w)
{
	const struct allocate_input in = {.all = w->all,
		.n = w->n,
		.pools = w->pools,
		.n_pools = w->n_pools,
		.reserved = w->reserved,
		.n_reserved = w->n_reserved};
	return allocate(&in);
}

/* "ADDRESS ADDRESS; ADDRESS (why)": what each service gets. */
static void expect(struct world *w, const char *expected)
{
	CLEANUP_FREE struct allocation *out = allocations_of(w);
	CLEANUP_TEXT struct text t = {0};
	for (size_t i = 0; i < w->n; i++) {
		text_add(&t, "%s", i ? "; " : "");
		for (size_t k = 0; k < out[i].n; k++)
			text_add(&t, "%s%s", k ? " " : "", ADDR_STRING(&out[i].addrs[k]));
		if (*out[i].why)
			text_add(&t, "(%s)", out[i].why);
	}
	assert_string_equal(t.buf, expected);
	for (size_t i = 0; i < w->n; i++)
		demand_done(&w->demands[i]);
	*w = (struct world){0};
}

#define PORT(n) "\"ports\":[{\"port\":" #n "}]"
#define V4 PORT(80) ",\"ipFamilies\":[\"IPv4\"]"
#define BOTH PORT(80) ",\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"ipFamilyPolicy\":\"PreferDualStack\""
#define MUST PORT(80) ",\"ipFamilies\":[\"IPv4\",\"IPv6\"],\"ipFamilyPolicy\":\"RequireDualStack\""
#define IP(a) "{\"ip\":\"" a "\"}"
#define ASK(list) "\"roost.io/load-balancer-ips\":\"" list "\""
#define POOLS(list) "\"roost.io/load-balancer-pools\":\"" list "\""
#define KEY(k) "\"roost.io/load-balancer-sharing-key\":\"" k "\""
#define NONE_GIVES(f)                                                                              \
	"(there is no IPPool with allowedUses [LoadBalancer] that gives it an " f " address)"

TEST(each_service_gets_the_first_free_address)
{
	struct world w = {0};
	add_pool(&w, "public", "192.0.2.0/30", "");
	w.reserved[w.n_reserved++] = cidr("192.0.2.0/32");
	add_service(&w, "a", "", V4, "");
	add_service(&w, "b", "", V4, IP("192.0.2.2"));
	add_service(&w, "c", "", V4, "");
	add_service(&w, "d", "", V4, "");
	expect(&w, "192.0.2.1; 192.0.2.2; 192.0.2.3; (all IPv4 addresses of the IPPools that it "
		   "may use "
		   "are taken: make another one with allowedUses [LoadBalancer])");
}

TEST(families_are_those_of_the_service)
{
	struct world w = {0};
	add_pool(&w, "four", "192.0.2.0/28", "");
	add_pool(&w, "six", "2001:db8::/120", "");
	add_service(&w, "a", "", BOTH, "");
	add_service(&w, "b", "", PORT(80) ",\"ipFamilies\":[\"IPv6\"]", "");
	add_service(&w, "c", "", V4, IP("192.0.2.9") "," IP("2001:db8::9"));
	expect(&w, "192.0.2.0 2001:db8::; 2001:db8::1; 192.0.2.9");
	add_pool(&w, "four", "192.0.2.0/28", "");
	add_service(&w, "a", "", BOTH, "");
	add_service(&w, "b", "", MUST, "");
	expect(&w, "192.0.2.0; 192.0.2.1" NONE_GIVES("IPv6"));
}

TEST(what_is_asked_for_is_given_or_said_why_not)
{
	struct world w = {0};
	add_pool(&w, "off", "198.51.100.0/24", "disabled");
	add_pool(&w, "public", "192.0.2.0/24", "");
	add_pool(&w, "quiet", "203.0.113.0/24", "manual");
	w.reserved[w.n_reserved++] = cidr("192.0.2.64/26");
	add_service(&w, "a", ASK("192.0.2.7"), V4, IP("192.0.2.3"));
	add_service(&w, "b", "", V4 ",\"loadBalancerIP\":\"192.0.2.7\"", "");
	add_service(&w, "c", ASK("192.0.2.70"), V4, "");
	add_service(&w, "d", ASK("203.0.113.1"), V4, "");
	add_service(&w, "e", POOLS("quiet"), V4, "");
	add_service(&w, "f", ASK("8.8.8.8"), V4, "");
	add_service(&w, "g", ASK("2001:db8::1"), V4, "");
	add_service(&w, "h", ASK("192.0.2.x"), V4, IP("192.0.2.8"));
	add_service(&w, "i", ASK("198.51.100.1"), V4, "");
	add_service(&w, "j", POOLS("off"), V4, IP("198.51.100.9"));
	add_service(&w, "k", POOLS("public"), V4, IP("203.0.113.9"));
	expect(&w, "192.0.2.7; (it asks for 192.0.2.7, which Service d/a has and does not share "
		   "with it); "
		   "192.0.2.70; 203.0.113.1; 203.0.113.0; "
		   "(it asks for 8.8.8.8, which is in no IPPool with allowedUses [LoadBalancer]); "
		   "(it asks for 2001:db8::1, whose family is not among its ipFamilies); "
		   "192.0.2.8(it asks for \"192.0.2.x\", which is no address); "
		   "(it asks for 198.51.100.1 of IPPool off, which is disabled); "
		   "198.51.100.9; 192.0.2.0");
}

TEST(services_share_by_a_key_of_their_namespace)
{
	struct world w = {0};
	add_pool(&w, "public", "192.0.2.0/24", "");
	add_service(&w, "a", KEY("k"), V4, "");
	add_service(&w, "b", KEY("k"), PORT(443) ",\"ipFamilies\":[\"IPv4\"]", "");
	add_service(&w, "c", KEY("k"), V4, "");
	add_service(&w, "e", KEY("k") "," ASK("192.0.2.0"), V4, "");
	add_service(&w, "f", KEY("k"),
		"\"ports\":[{\"port\":80,\"protocol\":\"UDP\"}],\"ipFamilies\":[\"IPv4\"]", "");
	add_service(&w, "g", KEY("k"),
		PORT(444) ",\"externalTrafficPolicy\":\"Local\",\"ipFamilies\":[\"IPv4\"]", "");
	add_service(&w, "gg", KEY("k"),
		PORT(445) ",\"externalTrafficPolicy\":\"Local\",\"ipFamilies\":[\"IPv4\"]", "");
	add_service(&w, "h", "", PORT(446) ",\"ipFamilies\":[\"IPv4\"]", "");
	expect(&w, "192.0.2.0; 192.0.2.0; 192.0.2.1; (it asks for 192.0.2.0, which Service d/a has "
		   "and "
		   "does not share with it); 192.0.2.0; 192.0.2.2; 192.0.2.2; 192.0.2.3");
}

TEST(of_two_that_have_one_address_the_older_keeps_it)
{
	struct world w = {0};
	add_pool(&w, "public", "192.0.2.0/24", "");
	add_service(&w, "a", "", V4, IP("192.0.2.5"));
	add_service(&w, "b", "", V4, IP("192.0.2.5"));
	add_service(&w, "c", "", V4, IP("10.9.9.9"));
	expect(&w, "192.0.2.5; 192.0.2.0; 10.9.9.9(its address 10.9.9.9 is in no IPPool with "
		   "allowedUses "
		   "[LoadBalancer]: it stays until the service is made anew)");
}

TEST(others_classes_are_let_alone_and_their_addresses_are_taken)
{
	struct world w = {0};
	struct demand d;
	CLEANUP_JSON json_t *other =
		json_of("{\"metadata\":{\"namespace\":\"d\",\"name\":\"x\"},\"spec\":{\"type\":"
			"\"LoadBalancer\"},\"status\":{\"loadBalancer\":{\"ingress\":[{\"ip\":"
			"\"192.0.2.0\"},"
			"{\"hostname\":\"x\"},7]}}}");
	CLEANUP_JSON json_t *plain = json_of("{\"spec\":{\"type\":\"ClusterIP\"}}");
	CLEANUP_JSON json_t *nameless = json_of("{\"spec\":{\"type\":\"LoadBalancer\"}}");
	assert_false(demand_read(plain, true, &d));
	assert_false(demand_read(nameless, true, &d));
	assert_true(demand_read(other, true, &d));
	assert_true(d.is_ours);
	demand_done(&d);
	assert_true(demand_read(other, false, &w.demands[0]));
	assert_false(w.demands[0].is_ours);
	w.all[w.n++] = &w.demands[0];
	add_pool(&w, "public", "192.0.2.0/24", "");
	add_service(&w, "a", "", V4, "");
	expect(&w, "; 192.0.2.1");
}

TEST(the_last_address_of_all_is_found_and_nothing_behind_it)
{
	struct world w = {0};
	add_pool(&w, "end", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff/128", "");
	add_service(&w, "a", "", PORT(80) ",\"ipFamilies\":[\"IPv6\"]", "");
	add_service(&w, "b", "", PORT(80) ",\"ipFamilies\":[\"IPv6\"]", "");
	expect(&w, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff; (all IPv6 addresses of the IPPools "
		   "that it "
		   "may use are taken: make another one with allowedUses [LoadBalancer])");
}

/* ---- What always holds ---- */

static uint32_t seed;

static uint32_t roll(uint32_t n)
{
	seed = seed * 1664525u + 1013904223u;
	return (seed >> 8) % n;
}

static void make_random(struct world *w)
{
	static const char *const names[] = {"a", "b", "c"};
	char notes[256], spec[256], ingress[64], name[16];
	struct text t = TEXT_ON(notes);
	bool both = roll(3) == 0;
	(void)snprintf(name, sizeof(name), "%s%u", names[roll(3)], roll(1000000));
	*notes = '\0';
	if (roll(3) == 0)
		text_add(&t, KEY("%u"), roll(2));
	if (roll(5) == 0)
		text_add(&t, "%s" ASK("192.0.2.%u"), t.len ? "," : "", roll(20));
	(void)snprintf(spec, sizeof(spec),
		"\"ports\":[{\"port\":%u}],\"ipFamilies\":[\"IPv4\"%s]%s", 80 + roll(3),
		both ? ",\"IPv6\"" : "", roll(3) ? "" : ",\"externalTrafficPolicy\":\"Local\"");
	*ingress = '\0';
	if (roll(6) == 0)
		(void)snprintf(ingress, sizeof(ingress), IP("192.0.2.%u"), roll(20));
	add_service(w, name, notes, spec, ingress);
}

static void check_all(const struct world *w, const struct allocation *out)
{
	for (size_t i = 0; i < w->n; i++)
		for (size_t k = 0; k < out[i].n; k++)
			for (size_t j = i + 1; j < w->n; j++)
				for (size_t l = 0; l < out[j].n; l++)
					assert_true(
						!addr_equal(&out[i].addrs[k], &out[j].addrs[l]) ||
						demand_may_share(w->all[i], w->all[j]));
	for (size_t i = 0; i < w->n; i++) {
		size_t of[FAMILIES] = {0};
		for (size_t k = 0; k < out[i].n; k++)
			of[family_of(out[i].addrs[k].family)]++;
		assert_true(of[IPV4] <= 1 && of[IPV6] <= 1);
		assert_true(of[IPV4] == 1 || *out[i].why);
	}
}

static void settle(struct world *w, const struct allocation *out)
{
	for (size_t i = 0; i < w->n; i++) {
		w->demands[i].n_has = out[i].n;
		memcpy(w->demands[i].has, out[i].addrs, sizeof(out[i].addrs));
	}
}

static bool gets(const struct allocation *o, const struct addr *a)
{
	for (size_t i = 0; i < o->n; i++)
		if (addr_equal(&o->addrs[i], a))
			return true;
	return false;
}

/* Those before n had what they have from us. */
static void check_kept(const struct world *w, const struct allocation *out, size_t n)
{
	for (size_t i = 0; i < n; i++)
		for (size_t k = 0; k < w->demands[i].n_has; k++)
			assert_true(gets(&out[i], &w->demands[i].has[k]));
}

static bool comes_or_goes(struct world *w)
{
	if (w->n < MOST && (w->n == 0 || roll(3) > 0)) {
		make_random(w);
		return true;
	}
	size_t at = roll((uint32_t)w->n);
	demand_done(&w->demands[at]);
	memmove(&w->demands[at], &w->demands[at + 1], (--w->n - at) * sizeof(w->demands[0]));
	return false;
}

/* A second look at what the first one made changes nothing, and whoever comes or goes takes no address
 * from those who stay. */
TEST(no_address_is_given_twice_and_nobody_loses_one)
{
	for (uint32_t walk = 0; walk < 300; walk++) {
		struct world w = {0};
		seed = walk;
		add_pool(&w, "four", "192.0.2.0/28", "");
		add_pool(&w, "six", "2001:db8::/126", "");
		for (int step = 0; step < 40; step++) {
			bool came = comes_or_goes(&w);
			CLEANUP_FREE struct allocation *out = allocations_of(&w);
			check_all(&w, out);
			check_kept(&w, out, came ? w.n - 1 : w.n);
			settle(&w, out);
			CLEANUP_FREE struct allocation *again = allocations_of(&w);
			for (size_t i = 0; i < w.n; i++)
				assert_int_equal(again[i].n, out[i].n);
			check_kept(&w, again, w.n);
		}
		for (size_t i = 0; i < w.n; i++)
			demand_done(&w.demands[i]);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_service_gets_the_first_free_address),
		cmocka_unit_test(families_are_those_of_the_service),
		cmocka_unit_test(what_is_asked_for_is_given_or_said_why_not),
		cmocka_unit_test(services_share_by_a_key_of_their_namespace),
		cmocka_unit_test(of_two_that_have_one_address_the_older_keeps_it),
		cmocka_unit_test(others_classes_are_let_alone_and_their_addresses_are_taken),
		cmocka_unit_test(the_last_address_of_all_is_found_and_nothing_behind_it),
		cmocka_unit_test(no_address_is_given_twice_and_nobody_loses_one),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
