-- Note how events of one entity turned out. KEYS: events, tiles, positives, own labels.
-- ARGV: keep (ms), then (time, id, outcome): 1 positive, 0 not, - nobody said, so that the
-- event's own label stands.
local times = {}
for i = 2, #ARGV, 3 do
  local time, id, outcome = ARGV[i], ARGV[i + 1], ARGV[i + 2]
  if outcome == '-' then
    outcome = redis.call('ZSCORE', KEYS[4], id) and '1' or '0'
  end
  if outcome == '1' then
    redis.call('ZADD', KEYS[3], time, id)
  else
    redis.call('ZREM', KEYS[3], id)
  end
  times[#times + 1] = tonumber(time)
end
if redis.call('EXISTS', KEYS[2]) == 1 then forget_tiles(KEYS[2], times) end
redis.call('PEXPIRE', KEYS[3], ARGV[1])
return 0
