-- Add events of one entity. KEYS: events, tiles [, positives, own labels].
-- ARGV: keep (us), keep (ms), n, n x (time, member), then of the events with a label of
-- their own: (time, id, 1 if it stands or 0).
local n, times = tonumber(ARGV[3]), {}
local last = 3 + 2 * n
redis.call('ZADD', KEYS[1], unpack(ARGV, 4, last))
for i = 4, last, 2 do times[#times + 1] = tonumber(ARGV[i]) end
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
if redis.call('EXISTS', KEYS[2]) == 1 then
  local gone = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', oldest, 'WITHSCORES')
  for i = 2, #gone, 2 do times[#times + 1] = tonumber(gone[i]) end
end
forget_tiles(KEYS[2], times)
for i, key in ipairs(KEYS) do
  if i ~= 2 then redis.call('ZREMRANGEBYSCORE', key, '-inf', oldest) end
  redis.call('PEXPIRE', key, ARGV[2])
end
return 0
