-- Add events of one entity. KEYS: events, tiles [, positives, own labels].
-- ARGV: keep (us), keep (ms), n, n x (time, member), then of the events with a label of
-- their own: (time, id, 1 if it stands or 0).
local last = 3 + 2 * tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], unpack(ARGV, 4, last))
for i = last + 1, #ARGV, 3 do
  redis.call('ZADD', KEYS[4], ARGV[i], ARGV[i + 1])
  if ARGV[i + 2] == '1' then
    redis.call('ZADD', KEYS[3], ARGV[i], ARGV[i + 1])
  else
    redis.call('ZREM', KEYS[3], ARGV[i + 1])
  end
end
local newest = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')[2]
local oldest = string.format('(%.0f', tonumber(newest) - tonumber(ARGV[1]))
if redis.call('PEXPIRE', KEYS[2], ARGV[2]) == 1 then -- there are tiles
  local times = {}
  for i = 4, last, 2 do times[#times + 1] = tonumber(ARGV[i]) end
  local old = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', oldest, 'WITHSCORES')
  for i = 2, #old, 2 do times[#times + 1] = tonumber(old[i]) end
  forget_tiles(KEYS[2], times)
end
local gone = redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', oldest)
redis.call('PEXPIRE', KEYS[1], ARGV[2])
for i = 3, #KEYS do
  if gone > 0 then redis.call('ZREMRANGEBYSCORE', KEYS[i], '-inf', oldest) end
  redis.call('PEXPIRE', KEYS[i], ARGV[2])
end
return 0
