/* SPDX-License-Identifier: Apache-2.0 */
/*
 * libnl's cache as it is after notifications that not every kernel can be made to send.
 */
#include "tests/unit/values.h"

#include "agent/kernel/linkcache.h"

#include <netlink/cache.h>
#include <netlink/route/link.h>

static void put(struct nl_cache *cache, int index, int family, const char *name, const char *kind)
{
	struct rtnl_link *l = rtnl_link_alloc();
	assert_non_null(l);
	rtnl_link_set_ifindex(l, index);
	rtnl_link_set_name(l, name);
	if (kind)
		assert_int_equal(rtnl_link_set_type(l, kind), 0);
	rtnl_link_set_family(l, family);
	assert_int_equal(nl_cache_add(cache, (struct nl_object *)l), 0);
	rtnl_link_put(l);
}

/* A port has an entry of its own beside that of the bridge's family; a bridge has no other, and
 * loses its kind when one of its VLANs changes. An entry of IPv6 is no link. */
TEST(a_bridge_is_one_link_and_so_is_each_port)
{
	struct nl_cache *cache;
	assert_int_equal(nl_cache_alloc_name("route/link", &cache), 0);
	put(cache, 4, AF_BRIDGE, "br-ex", NULL);
	put(cache, 3, AF_BRIDGE, "br0", "bridge");
	put(cache, 2, AF_BRIDGE, "eth0", NULL);
	put(cache, 2, AF_UNSPEC, "eth0", NULL);
	put(cache, 5, AF_UNSPEC, "vxlan7", "vxlan");
	put(cache, 5, AF_BRIDGE, "vxlan7", NULL);
	put(cache, 6, AF_INET6, "gone", NULL);
	static const struct {
		const char *name, *kind;
	} expected[] = {{"eth0", ""}, {"br0", "bridge"}, {"br-ex", "bridge"}, {"vxlan7", "vxlan"}};
	struct facts f = {0};
	linkcache_links(cache, &f);
	assert_int_equal(f.n_links, COUNT(expected));
	for (size_t i = 0; i < COUNT(expected); i++) {
		assert_string_equal(f.links[i].name, expected[i].name);
		assert_string_equal(f.links[i].kind, expected[i].kind);
	}
	facts_done(&f);
	nl_cache_free(cache);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_bridge_is_one_link_and_so_is_each_port),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
