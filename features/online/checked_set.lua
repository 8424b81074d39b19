-- Set KEYS[2] to ARGV[2] if KEYS[1] still holds ARGV[1], which goes.
if redis.call('GET', KEYS[1]) ~= ARGV[1] then return 0 end
redis.call('SET', KEYS[2], ARGV[2])
redis.call('DEL', KEYS[1])
return 1
